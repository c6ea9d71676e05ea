//! The rule for signatures against published vectors, hostile cases and `verify_strict`.

mod common;

use centauri_wire::*;
use common::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, VerifyingKey};
use proptest::prelude::*;

fn strict(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// RFC 8032, section 7.1: seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn rfc_8032_vectors() {
    for [seed, public, message, signature] in RFC_8032 {
        let key = KeyFile::generate(unhex_array(seed)).public_key();
        assert_eq!(key.to_hex(), public);
        assert_eq!(PublicKey::register(&unhex_array(public)), Ok(key));
        let (message, signature) = (unhex(message), unhex_array(signature));
        assert_eq!(check_signature_shape(&signature), Ok(()));
        assert!(key.verify(&message, &signature));
        assert!(!key.verify(b"another message", &signature));
    }
}

#[test]
fn hostile_cases_get_the_verdict_of_verify_strict() {
    let path = format!("{}/../../../shared/data/ed25519-speccheck/cases.json", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: the ed25519-speccheck cases are not there");
        return;
    };
    let cases: Vec<std::collections::BTreeMap<String, String>> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(cases.len(), 12);
    let mut registered = 0;
    for (number, case) in cases.iter().enumerate() {
        let key: [u8; 32] = unhex_array(&case["pub_key"]);
        let signature: [u8; 64] = unhex_array(&case["signature"]);
        let message = unhex(&case["message"]);
        let expected = strict(&key, &message, &signature);
        if check_signature_shape(&signature).is_err() {
            assert!(!expected, "case {number}: a form that verify_strict takes was refused");
        }
        if let Ok(prepared) = PublicKey::register(&key) {
            registered += 1;
            let accepted = check_signature_shape(&signature).is_ok() && prepared.verify(&message, &signature);
            assert_eq!(accepted, expected, "case {number}");
        }
    }
    println!("{registered} of {} keys may be registered", cases.len());
}

#[test]
fn small_order_keys_are_refused() {
    for point in EIGHT_TORSION {
        assert_eq!(PublicKey::register(&point.compress().to_bytes()), Err(KeyError::SmallOrder));
    }
}

#[test]
fn keys_with_torsion_are_refused() {
    for point in &EIGHT_TORSION[1..] {
        let key = (ED25519_BASEPOINT_POINT * Scalar::from(12_345_u64) + point).compress().to_bytes();
        assert_eq!(PublicKey::register(&key), Err(KeyError::Torsion));
    }
}

/// Encodings of y ≥ p: nineteen values, each with either sign, and x = 0 with its sign set.
fn encodings_that_are_not_canonical() -> Vec<[u8; 32]> {
    let mut encodings = Vec::new();
    for low in 0xed..=0xff_u8 {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = high;
            encodings.push(bytes);
        }
    }
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    encodings.extend([one, minus_one]);
    encodings
}

#[test]
fn encodings_that_are_not_canonical_are_refused_as_keys_and_as_r() {
    for bytes in encodings_that_are_not_canonical() {
        assert!(PublicKey::register(&bytes).is_err(), "{bytes:02x?}");
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes);
        assert_eq!(
            check_signature_shape(&signature),
            Err(SignatureShapeError::PointNotCanonical),
            "{bytes:02x?}"
        );
        // The form agrees with what a decompression and compression say.
        let again = CompressedEdwardsY(bytes).decompress().map(|point| point.compress().to_bytes());
        assert_ne!(again, Some(bytes));
    }
}

#[test]
fn the_scalar_is_compared_with_the_order_exactly() {
    let mut order = [0; 64];
    order[0] = 5; // a y that is canonical
    order[32..].copy_from_slice(&unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));
    assert_eq!(check_signature_shape(&order), Err(SignatureShapeError::ScalarNotReduced));
    order[32] -= 1;
    assert_eq!(check_signature_shape(&order), Ok(()));
}

#[test]
fn the_identity_is_no_r() {
    let mut signature = [0; 64];
    signature[0] = 1;
    assert_eq!(check_signature_shape(&signature), Err(SignatureShapeError::PointNotCanonical));
}

#[test]
fn s_plus_the_order_and_r_plus_torsion_are_refused_on_a_good_key() {
    let [_, public, message, signature] = RFC_8032[2];
    let key = PublicKey::register(&unhex_array(public)).expect("a good key");
    let good: [u8; 64] = unhex_array(signature);
    let message = unhex(message);

    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut malleable = good;
    let mut carry = 0_u16;
    for (byte, add) in malleable[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(check_signature_shape(&malleable), Err(SignatureShapeError::ScalarNotReduced));
    assert!(!key.verify(&message, &malleable));

    let r = CompressedEdwardsY(unhex_array(&signature[..64])).decompress().expect("a point");
    for torsion in &EIGHT_TORSION[1..] {
        let mut moved = good;
        moved[..32].copy_from_slice((r + torsion).compress().as_bytes());
        assert!(!key.verify(&message, &moved));
    }
}

proptest! {
    /// Whatever the form refuses, `verify_strict` refuses on a key for which the equation would hold.
    #[test]
    fn the_form_never_refuses_a_good_signature(seed: [u8; 32], message: Vec<u8>) {
        use ed25519_dalek::{Signer, SigningKey};
        let signing = SigningKey::from_bytes(&seed);
        let signature = signing.sign(&message).to_bytes();
        prop_assert_eq!(check_signature_shape(&signature), Ok(()));
        let key = PublicKey::register(signing.verifying_key().as_bytes());
        prop_assert!(key.is_ok_and(|key| key.verify(&message, &signature)));
    }

    /// `y < p` by bytes is what re-encoding the point says, also close to p and to 0.
    #[test]
    fn canonical_by_bytes_is_canonical_by_curve(
        mut y: [u8; 32],
        near in prop_oneof![Just(None), (0_u8..=255, any::<bool>(), any::<bool>()).prop_map(Some)],
    ) {
        if let Some((low, high, sign)) = near {
            y = if high { [0xff; 32] } else { [0; 32] };
            y[0] = low;
            y[31] = if high { 0x7f } else { 0 } | if sign { 0x80 } else { 0 };
        }
        if let Some(point) = CompressedEdwardsY(y).decompress() {
            let canonical = point.compress().to_bytes() == y;
            let identity = y == EIGHT_TORSION[0].compress().to_bytes();
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&y);
            prop_assert_eq!(check_signature_shape(&signature).is_ok(), canonical && !identity);
        }
    }
}
