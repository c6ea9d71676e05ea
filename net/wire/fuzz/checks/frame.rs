//! What holds of parsing for every input: nothing panics, and a frame that parses is the one encoding of
//! what it says.

use centauri_wire::*;

/// Checks the input as it is, and once more behind a magic and a body length that are right, so that the
/// checks of the body see it.
pub(crate) fn check_input(input: &[u8]) {
    check_frame(input);
    if let Some(body_len) = input.len().checked_sub(HEADER_BYTES + SIGNATURE_BYTES) {
        let mut repaired = input.to_vec();
        repaired[..MAGIC.len()].copy_from_slice(&MAGIC);
        repaired[12..16].copy_from_slice(&u32::try_from(body_len).unwrap_or(u32::MAX).to_le_bytes());
        check_frame(&repaired);
    }
}

fn check_frame(frame: &[u8]) {
    let view = match FrameView::parse(frame) {
        Ok(view) => view,
        Err(reason) => {
            assert_eq!(reason.to_string().lines().count(), 1, "a reason is one line of a log");
            return;
        }
    };
    assert_eq!(view.signature()[..], frame[frame.len() - SIGNATURE_BYTES..]);
    assert!(view.signed_message().as_bytes().len() <= DIRECT_SIGNED_BYTES_MAX);
    // The bytes of the signature are anything here; both verdicts are possible, a panic is not.
    let _ = check_signature_shape(view.signature());
    let again = encode_again(&view);
    assert_eq!(
        again[..again.len() - SIGNATURE_BYTES],
        frame[..frame.len() - SIGNATURE_BYTES],
        "the message has one encoding"
    );
}

/// Writes what a frame says, signed by some key under the frame's sender.
fn encode_again(view: &FrameView<'_>) -> Vec<u8> {
    let Header { sender, receiver, timestamp_ns } = view.header();
    let receiver = receiver.unwrap_or(NodeId(0));
    let identity = KeyFile::generate([1; 32]).identity(sender);
    let mut out = Vec::new();
    match view.message() {
        MessageView::Request(request) => request.encode(timestamp_ns, receiver, &identity, &mut out),
        MessageView::Answer(answer) => answer.encode(timestamp_ns, receiver, &identity, &mut out),
        MessageView::Decision(decisions) => {
            assert_eq!(decisions.iter().count(), decisions.len());
            let mut builder = DecisionFrameBuilder::begin(&mut out, timestamp_ns, FRAME_BYTES_MAX);
            for decision in decisions.iter() {
                builder.push(&decision).expect("a decision that was received can be sent");
            }
            builder.finish(&identity).map(|_| ())
        }
        MessageView::Stream(records) => {
            assert_eq!(records.iter().count(), records.len());
            assert_eq!(records.iter().rev().count(), records.len());
            let mut builder = StreamFrameBuilder::begin(&mut out, timestamp_ns, FRAME_BYTES_MAX);
            for record in records.iter() {
                assert!(record.value.is_finite() && record.source_timestamp_ns(timestamp_ns) <= timestamp_ns);
                builder.push(&record).expect("a record that was received can be sent");
            }
            builder.finish(&identity).map(|_| ())
        }
        MessageView::Sample(SampleView { kind, distribution, values }) => {
            let numbers: Vec<f64> = values.iter().collect();
            assert_eq!(numbers.len(), values.len());
            let sample = Sample { kind: *kind, distribution, values: &numbers };
            sample.encode(timestamp_ns, &identity, &mut out)
        }
        MessageView::Distribution(distribution) => {
            let body = distribution.to_body().expect("a checked tree can be built");
            Distribution { name: distribution.name, body: &body }.encode(timestamp_ns, &identity, &mut out)
        }
    }
    .expect("a message that was received can be sent");
    out
}
