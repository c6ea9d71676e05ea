//! Long TOML files in pieces: the tree of a file takes some fifty times the memory of its text.

use std::ops::Range;
use toml_parser::lexer::TokenKind;

/// A TOML text divided at the elements of one array of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// The text without the elements. Each is left out but for its ends of lines, so that a line keeps its number.
    pub rest: String,
    /// Where each element lies in the text, with its sub-tables: by itself an array of one element.
    pub elements: Vec<Range<usize>>,
}

/// Divides `text` at its headers `[[array]]`; `None` if there are none, or if an element does not lie in one piece.
///
/// If `rest` and each element are TOML, and `rest` has no key `array`, then so is the text, and says the same. If one is not, then the
/// text is to be read whole, which also tells what is wrong with it.
///
/// ```
/// use centauri_files::pieces;
/// let text = "[server]\nport = 1\n[[street]]\nname = \"A [[street]]\"\n[street.lamps]\ncount = 2\n[[street]]\nname = \"B\"\n";
/// let found = pieces(text, "street").ok_or("no street")?;
/// assert_eq!(found.rest, "[server]\nport = 1\n\n\n\n\n\n\n");
/// let elements: Vec<&str> = found.elements.into_iter().map(|range| &text[range]).collect();
/// assert_eq!(elements[1], "[[street]]\nname = \"B\"\n");
/// assert!(elements[0].starts_with("[[street]]\nname = \"A") && elements[0].ends_with("count = 2\n"));
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn pieces(text: &str, array: &str) -> Option<Pieces> {
    let mut elements: Vec<Range<usize>> = Vec::new();
    // Where the element begins that goes on, if one does.
    let mut open: Option<usize> = None;
    let mut tokens = toml_parser::Source::new(text).lex().peekable();
    // Brackets of values that are open; whether nothing but white space has come since the line began.
    let (mut depth, mut at_line_start) = (0_usize, true);
    while let Some(token) = tokens.next() {
        match token.kind() {
            TokenKind::LeftSquareBracket if depth == 0 && at_line_start => {
                let start = token.span().start();
                let is_array = tokens.next_if(|token| token.kind() == TokenKind::LeftSquareBracket).is_some();
                while tokens.next_if(|token| token.kind() == TokenKind::Whitespace).is_some() {}
                let first = tokens.next()?;
                if first.kind() != TokenKind::Atom {
                    // A name in quotes may be the array's.
                    return None;
                }
                let is_ours = text.get(first.span().start()..first.span().end())? == array;
                let is_dotted = header_goes_on(&mut tokens);
                let begins = is_ours && is_array && !is_dotted;
                if is_ours && !begins {
                    // A part of the element before, which must be the one that goes on.
                    open?;
                    continue;
                }
                if let Some(since) = open.take() {
                    elements.push(since..start);
                }
                open = begins.then_some(start);
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                (depth, at_line_start) = (depth + 1, false);
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                (depth, at_line_start) = (depth.saturating_sub(1), false);
            }
            TokenKind::Newline => at_line_start = true,
            TokenKind::Whitespace => {}
            _ => at_line_start = false,
        }
    }
    if let Some(since) = open {
        elements.push(since..text.len());
    }
    let rest = without(text, &elements)?;
    (!elements.is_empty()).then_some(Pieces { rest, elements })
}

/// Takes the rest of a header's line, but for its end; says whether its name has several parts.
fn header_goes_on(tokens: &mut std::iter::Peekable<impl Iterator<Item = toml_parser::lexer::Token>>) -> bool {
    let mut is_dotted = false;
    while let Some(token) = tokens.next_if(|token| token.kind() != TokenKind::Newline) {
        is_dotted |= token.kind() == TokenKind::Dot;
    }
    is_dotted
}

/// The text with nothing but the ends of lines in these places.
fn without(text: &str, places: &[Range<usize>]) -> Option<String> {
    let (mut rest, mut from) = (String::new(), 0);
    for place in places {
        rest.push_str(text.get(from..place.start)?);
        rest.extend(text.get(place.clone())?.chars().filter(|c| *c == '\n'));
        from = place.end;
    }
    rest.push_str(text.get(from..)?);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use toml::{Table, Value};

    /// What the pieces say, if the rule says that they say it.
    fn joined(text: &str) -> Option<Table> {
        let Pieces { rest, elements } = pieces(text, "s")?;
        assert_eq!(rest.matches('\n').count(), text.matches('\n').count());
        let mut all: Table = rest.parse().ok()?;
        let mut list = Vec::new();
        for element in elements {
            let mut one: Table = text[element].parse().ok()?;
            let Some(Value::Array(element)) = one.remove("s") else { panic!("{text:?}") };
            assert!(one.is_empty() && element.len() == 1, "{text:?}");
            list.extend(element);
        }
        all.insert("s".to_owned(), Value::Array(list)).is_none().then_some(all)
    }

    #[test]
    fn what_lies_apart_or_is_named_otherwise_is_not_divided() {
        for text in [
            "",
            "a = 1",
            "s = [{ a = 1 }]",
            "[s]\na = 1",
            "[s.t]\n[[s]]",
            "[[\"s\"]]\n",
            "[[s.t]]\n",
            "[[s]]\n[b]\n[s.c]\n",
            "[[s]]\n[b]\n[[s.c]]\n",
        ] {
            assert_eq!(pieces(text, "s"), None, "{text:?}");
        }
        // Both would be wrong together, so it is read whole.
        assert_eq!(joined("s = 1\n[[s]]\n"), None);
        assert_eq!(joined("[[s]]\na = 1\na = 2\n"), None);
    }

    #[test]
    fn headers_within_values_are_none() {
        let text = "a = [\n[1],\n[[2]],\n]\nb = \"\"\"\n[[s]]\n\"\"\"\n[[s]] # [[s]]\nc = '''\n[[s]]'''\n  [[ s ]]\nd = {e = [\n[3]]}\n[b2]\n";
        assert_eq!(pieces(text, "s").unwrap().elements.len(), 2);
        assert_eq!(joined(text), Some(text.parse().unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Lines of all kinds in any order: whatever the pieces say, the whole says too.
        #[test]
        fn pieces_say_what_the_whole_says(lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "[[s]]", "[[s]] # x", "  [[s]]", "[[ s ]]", "[s.t]", "[[s.t]]", "[s]", "[[\"s\"]]", "[a]", "[[b]]",
                "[b.c]", "[a.s]", "k = 1", "l = 2", "s = 1", "s.t = 1", "m = [", "[1],", "[[s]],", "]", "n = { s = 1 }", "o = '''",
                "'''", "p = \"\"\"", "\"\"\"", "q = '[[s]]'", "é = 1", "\"é\" = 1", "", "# [[s]]", "[[s", "[[s]]]", "\r", "]]", "{", "}",
            ]),
            0..14,
        ), crlf: bool) {
            let text = lines.join(if crlf { "\r\n" } else { "\n" });
            if let Some(joined) = joined(&text) {
                let whole: Result<Table, _> = text.parse();
                prop_assert_eq!(whole.ok(), Some(joined), "{:?}", text);
            }
        }
    }
}
