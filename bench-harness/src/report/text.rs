//! Text out of result files is anybody's: it is cleaned of what steers a terminal or a page, and escaped where it is put.

/// Cleans text of control and direction characters and cuts it to at most `chars_max` characters.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    let mut out: String = text.chars().take(chars_max).map(clean).collect();
    if text.chars().nth(chars_max).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// A space for white space and control characters, U+FFFD for invisible and direction-changing ones.
fn clean(c: char) -> char {
    match c {
        c if c.is_whitespace() || c.is_control() => ' ',
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{ffff}'
        | '\u{e0000}'..='\u{e0fff}' => '\u{fffd}',
        c => c,
    }
}

/// Escapes for HTML and XML, in text and in quoted attributes.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Our own prose in Markdown: what could be read as mark-up becomes an entity.
pub(crate) fn markdown(text: &str) -> String {
    escape(text, |c| !matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '~'))
}

/// A name from a file in Markdown: a code span where that is safe, else text in which all but letters, digits and
/// spaces are entities, so that neither mark-up, links, mentions nor comments can come of it.
pub(crate) fn markdown_code(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || " _-.,:;/=+()%^#×≤≥…@'\"*".contains(c);
    if !text.trim().is_empty() && text.chars().all(safe) {
        return format!("`{text}`");
    }
    escape(text, |c| c.is_alphanumeric() || c == ' ')
}

fn escape(text: &str, safe: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if safe(c) {
            out.push(c);
        } else {
            out.push_str(&format!("&#{};", u32::from(c)));
        }
    }
    out
}

/// An identifier of lower-case letters, digits and single hyphens, at most 40 long, for anchors and file names.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(40) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "x".to_owned() } else { out.to_owned() }
}

/// Three significant digits, without an exponent between a thousandth and a million.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "–".to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if !(0.000_95..999_500.0).contains(&size) {
        format!("{value:.1e}").replace('-', "−")
    } else {
        let decimals = if size >= 99.95 {
            0
        } else if size >= 9.995 {
            1
        } else if size >= 0.0995 {
            2
        } else {
            4
        };
        format!("{value:.decimals$}").replace('-', "−")
    }
}

/// A share as a percentage, with as many digits as small rates need.
pub(crate) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let text = if value == 0.0 {
        "0".to_owned()
    } else if value < 0.1 {
        format!("{value:.3}")
    } else if value < 10.0 || (value > 90.0 && value < 100.0) {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    format!("{text}\u{a0}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (0.714_9, "0.71"),
            (12.345, "12.3"),
            (1234.6, "1235"),
            (-2.5, "−2.50"),
            (0.012, "0.0120"),
            (1.5e9, "1.5e9"),
            (0.000_1, "1.0e−4"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn percentages_keep_small_rates_visible() {
        for (share, text) in
            [(0.0, "0 %"), (0.000_1, "0.010 %"), (0.855, "86 %"), (0.954, "95.4 %"), (1.0, "100 %")]
        {
            assert_eq!(percent(share).replace('\u{a0}', " "), text);
        }
    }

    #[test]
    fn hostile_text_loses_its_power() {
        assert_eq!(clip("a\u{1b}[31m\nb\u{202e}c", 20), "a [31m b\u{fffd}c");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(html("<a b='\"'>&"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(markdown_code("x --seed 1"), "`x --seed 1`");
        for bad in ["<!-- accuracy:end -->", "`x`", "a|b", "[x](y)", "--->", "\\", ""] {
            let text = markdown_code(bad);
            assert!(!text.contains(['<', '`', '|', '[', '\\', '>']), "{text}");
        }
        assert_eq!(slug("../../etc/Pass wd"), "etc-pass-wd");
        assert_eq!(slug("<>"), "x");
    }
}
