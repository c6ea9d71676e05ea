//! A source: readings from a file, or from standard input as they come.

use super::{Parts, SourceTable};
use crate::clock::now_ns;
use anyhow::{Context, anyhow};
use centauri_roles::{Source, SourceConfig};
use centauri_wire::StreamId;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// So many lines of standard input wait; whoever writes more waits.
const LINES_MAX: usize = 1_024;
/// The longest line that is read.
const LINE_BYTES_MAX: usize = 256;

pub(super) fn run(parts: &Parts<'_>, table: &SourceTable, stop: &AtomicUsize) -> anyhow::Result<()> {
    let config = SourceConfig {
        name: table.name.clone(),
        subscribers: parts.subscribers,
        limits: parts.limits,
        // A source that begins anew numbers none of its readings as another: a replica counts each number of a window once.
        first_sequence: now_ns(),
        ..SourceConfig::new(StreamId(table.stream))
    };
    let is_live = table.readings.as_os_str() == "-";
    let mut readings = if is_live { Vec::new() } else { file(&table.readings)? };
    // An earlier source may have sent them, under other numbers, and a replica would count them once more.
    readings.retain(|(at, _)| parts.found.done_until_ns.is_none_or(|until| *at > until));
    let readings = Box::new(readings.into_iter());
    let source = Source::new(&config, parts.registry.clone(), parts.identity.clone(), readings, now_ns())?;
    let node = parts.open(source)?;
    let lines = is_live.then(listen).transpose()?;
    let between = |node: &mut crate::node::Node<Source>| {
        for line in lines.iter().flat_map(Receiver::try_iter) {
            match line
                .context("standard input")
                .and_then(|line| reading(&line).map_err(|error| anyhow!(error)))
            {
                Ok(None) => {}
                Ok(Some((at, value))) => {
                    let act = |source: &mut Source, now: i64, effects: &mut _| {
                        source.take(now, at.unwrap_or(now), value, effects);
                    };
                    node.act(act, super::tell);
                }
                // One bad line of an instrument should not end it.
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
        Ok(())
    };
    parts.drive(node, stop, between, |_, _, _| {})
}

/// Reads standard input on a thread of its own, since reading may wait.
fn listen() -> anyhow::Result<Receiver<std::io::Result<String>>> {
    let (send, receive) = sync_channel(LINES_MAX);
    std::thread::Builder::new()
        .name("readings".to_owned())
        .spawn(move || pass_on(std::io::stdin().lock(), &send))
        .context("no thread to read standard input")?;
    Ok(receive)
}

fn pass_on(mut input: impl BufRead, send: &SyncSender<std::io::Result<String>>) {
    loop {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut input, LINE_BYTES_MAX as u64);
        let read = limited.read_until(b'\n', &mut line);
        let line = match read {
            Ok(0) => return,
            Ok(LINE_BYTES_MAX) if line.last() != Some(&b'\n') => {
                // Its end is no line of its own, and may look like a reading.
                input.skip_until(b'\n').map(|_| String::from_utf8_lossy(&line).into_owned() + "…")
            }
            Ok(_) => Ok(String::from_utf8_lossy(&line).into_owned()),
            Err(error) => Err(error),
        };
        let is_last = line.is_err();
        if send.send(line).is_err() || is_last {
            return;
        }
    }
}

/// A reading's time, if it is told, in nanoseconds, and its value; `None` for an empty line or a comment.
fn reading(line: &str) -> Result<Option<(Option<i64>, f64)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let wrong = || format!("found {line:?}, expected a number, or Unix seconds, a comma and a number");
    let number =
        |text: &str| text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(wrong);
    match line.split_once(',') {
        None => Ok(Some((None, number(line)?))),
        Some((at, value)) => Ok(Some((Some(crate::serve::nanoseconds(number(at)?)), number(value)?))),
    }
}

/// All readings of a file, in the order of their times.
fn file(path: &Path) -> anyhow::Result<Vec<(i64, f64)>> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // A line of names may come first.
        let read = match reading(line) {
            Err(_) if at == 0 => continue,
            read => read.map_err(|error| anyhow!("{}: line {}: {error}", name(), at + 1))?,
        };
        match read {
            None => {}
            Some((Some(time), value)) => all.push((time, value)),
            Some((None, _)) => {
                return Err(anyhow!("{}: line {}: found no time, expected one in a file", name(), at + 1));
            }
        }
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_readings_or_say_what_is_wrong() {
        assert_eq!(reading(" 20.5 \n"), Ok(Some((None, 20.5))));
        assert_eq!(reading("1.5, -3"), Ok(Some((Some(1_500_000_000), -3.0))));
        assert_eq!(reading("# 7"), Ok(None));
        assert_eq!(reading("\r\n"), Ok(None));
        for line in ["x", "1,", ",1", "1,2,3", "nan", "inf", "1 2"] {
            assert!(reading(line).is_err(), "{line}");
        }
    }

    #[test]
    fn no_line_is_longer_than_the_limit() {
        let (send, receive) = sync_channel(16);
        let longest = [vec![b' '; LINE_BYTES_MAX - 2], b"6\n".to_vec()].concat();
        let input = [vec![b'7'; 600], b"\n8\n\xff\n".to_vec(), longest, b"9".to_vec()].concat();
        pass_on(&*input, &send);
        drop(send);
        let lines: Vec<String> = receive.iter().map(Result::unwrap).collect();
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX + 3));
        let read: Vec<_> = lines.iter().map(|line| reading(line).ok().flatten()).collect();
        assert_eq!(read, [None, Some((None, 8.0)), None, Some((None, 6.0)), Some((None, 9.0))]);
    }
}
