//! Registries and key files: what is read, and what is said of what is wrong.

mod common;

use centauri_wire::*;
use common::*;

fn entry(id: u32, name: &str, key: &str) -> String {
    format!("[[node]]\nid = {id}\nname = \"{name}\"\nrole = \"replica\"\nkey = \"{key}\"\n")
}

fn key_of(seed: u8) -> String {
    KeyFile::generate([seed; 32]).public_key().to_hex()
}

fn check(text: &str, expected: &str) {
    let error = Registry::parse(text).expect_err("the registry is wrong").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn a_registry_reads_back_in_the_order_of_numbers() {
    let text =
        format!("# nodes\n{}\n{}", entry(9, "b", &key_of(9)), entry(2, "a.x_y-Z", &key_of(2).to_uppercase()));
    let registry = Registry::parse(&text).expect("two nodes");
    let ids: Vec<u32> = registry.nodes().iter().map(|node| node.id.0).collect();
    assert_eq!(ids, [2, 9]);
    assert_eq!(registry.by_name("b").map(|node| node.id), Some(NodeId(9)));
    assert_eq!(registry.by_id(NodeId(2)).map(|node| node.name.as_str()), Some("a.x_y-Z"));
    assert!(registry.by_id(NodeId(3)).is_none() && registry.by_name("c").is_none());
    assert_eq!(Registry::parse(&registry.to_toml()), Ok(registry));
    assert_eq!(Registry::parse(&common::registry().to_toml()).as_ref(), Ok(&*common::registry()));
    assert_eq!(Registry::parse(""), Ok(Registry::default()));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let good = entry(1, "one", &key_of(1));
    check(
        &format!("{good}{}", entry(1, "two", &key_of(2))),
        "line 7: node \"two\": the id is that of node \"one\"",
    );
    check(&format!("{good}{}", entry(2, "one", &key_of(2))), "line 8: node \"one\": the name is that of");
    check(
        &format!("{good}{}", entry(2, "two", &key_of(1))),
        "line 10: node \"two\": the key is that of node \"one\"",
    );
    check(&entry(1, "a b", &key_of(1)), "line 3: node name \"a b\"");
    check(&entry(1, "", &key_of(1)), "line 3: node name \"\"");
    check(&entry(1, &"n".repeat(65), &key_of(1)), "expected 1 to 64 letters");
    check(&entry(1, "one", "abcd"), "line 5: node \"one\": the key has 4 characters, expected 64");
    check(&entry(1, "one", &"g".repeat(64)), "line 5: node \"one\"");
    check(&good.replace("replica", "emperor"), "line 4: unknown variant `emperor`");
    check(&good.replace("id = 1", "id = -1"), "line 2:");
    check(&good.replace("id = 1", "id = 4294967296"), "line 2:");
    check(&good.replace("id = 1\n", ""), "missing field `id`");
    check(&format!("{good}port = 4\n"), "line 6: unknown field `port`");
    check("[[node]", "line 1:");
    check("name = \"x\"\n", "line 1: unknown field");
}

#[test]
fn keys_that_the_rule_does_not_allow_are_named() {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let small = hex(EIGHT_TORSION[1].compress().to_bytes());
    let torsion = hex((ED25519_BASEPOINT_POINT + EIGHT_TORSION[1]).compress().to_bytes());
    let mut p_plus_three = [0xff; 32];
    (p_plus_three[0], p_plus_three[31]) = (0xf0, 0x7f);
    check(&entry(1, "one", &small), "line 5: node \"one\": the public key is of small order");
    check(&entry(1, "one", &torsion), "line 5: node \"one\": the public key has a torsion component");
    check(
        &entry(1, "one", &hex(p_plus_three)),
        "line 5: node \"one\": the public key is not in its canonical encoding",
    );
    let mut two = [0; 32];
    two[0] = 2;
    check(&entry(1, "one", &hex(two)), "line 5: node \"one\": the public key is not a point");
}

#[test]
fn a_registry_of_nodes_at_hand_is_checked_too() {
    let node = registry().nodes()[0].clone();
    let error = Registry::new(vec![node.clone(), node]).expect_err("twice the same");
    assert_eq!(error.line, None);
    assert!(matches!(error.problem, RegistryProblem::Duplicate { field: "id", .. }));
}

#[test]
fn a_key_file_reads_back_and_signs_alike() {
    let key = KeyFile::generate([42; 32]);
    let text = format!("\n  # mine\n\n{}\r\n# end", key.to_text().as_str());
    let read = KeyFile::parse(&text).expect("a key file");
    let frame = |key: &KeyFile| {
        let mut bytes = Vec::new();
        let request = Request { request_id: 1, action: RequestAction::Cancel };
        request.encode(1, NodeId(9), &key.identity(NodeId(8)), &mut bytes).expect("valid");
        bytes
    };
    assert_eq!(frame(&read), frame(&key));
    assert_eq!(read.identity(NodeId(8)).public_key(), key.public_key());
}

#[test]
fn the_private_key_is_never_shown() {
    let key = KeyFile::generate([0xab; 32]);
    let shown = format!("{key:?} {:?}", key.identity(NodeId(1)));
    assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
    let text = key.to_text().replace("abab", "xyxy");
    let error = KeyFile::parse(&text).expect_err("not hexadecimal");
    assert!(!format!("{error} {error:?}").contains("ab"), "{error}");
}

#[test]
fn key_files_that_are_wrong_are_refused() {
    let text = KeyFile::generate([1; 32]).to_text();
    let other = KeyFile::generate([2; 32]).public_key().to_hex();
    let own = key_of(1);
    let check = |text: &str, expected: KeyFileError| assert_eq!(KeyFile::parse(text).err(), Some(expected));
    check("", KeyFileError::Missing { entry: "private" });
    check(&text.replace("public =", "# public ="), KeyFileError::Missing { entry: "public" });
    check(&text.replace(&own, &other), KeyFileError::Mismatch);
    check(&text.replace(&own, &own[1..]), KeyFileError::Digits { line: 4 });
    check(&text.replace('"', ""), KeyFileError::Digits { line: 2 });
    check(&text.replace("public", "private"), KeyFileError::Twice { line: 4, entry: "private" });
    check(&text.replace("private =", "secret ="), KeyFileError::Line { line: 2 });
    check("hello", KeyFileError::Line { line: 1 });
}
