//! Patterns for names of streams: `road/*`.

use centauri_roles::glob;

/// A pattern in the description of the routes.
#[derive(utoipa::ToSchema)]
#[schema(min_length = 1, max_length = 256)]
#[expect(dead_code, reason = "it describes what a request says")]
pub(super) struct Pattern(String);

/// The longest pattern, in characters.
const LENGTH_MAX: usize = 256;
/// The most patterns of one request: each is held against all names, while everybody else waits.
const COUNT_MAX: usize = 16;

/// Names that match any of some patterns; all names, where there is no pattern. In a pattern `*` stands for any text, the
/// empty one and one with `/` included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Patterns(Vec<String>);

impl Patterns {
    /// # Errors
    /// What is wrong, for who sent the request.
    pub(super) fn new(patterns: Vec<String>) -> Result<Self, String> {
        if patterns.len() > COUNT_MAX {
            return Err(format!("found {} patterns, expected at most {COUNT_MAX}", patterns.len()));
        }
        let length = |pattern: &String| pattern.chars().count();
        if let Some(bad) = patterns.iter().map(length).find(|length| !(1..=LENGTH_MAX).contains(length)) {
            return Err(format!("found a pattern of {bad} characters, expected 1 to {LENGTH_MAX}"));
        }
        Ok(Self(patterns))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| glob(pattern, name, None))
    }

    /// The first, as a hint at what was meant.
    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("*", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By its definition.
    fn slowly(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', pattern @ ..], _) => (0..=name.len()).any(|skip| slowly(pattern, &name[skip..])),
            ([p, pattern @ ..], [n, name @ ..]) => p == n && slowly(pattern, name),
            _ => false,
        }
    }

    #[test]
    fn matches_are_those_of_the_definition() {
        let texts: Vec<String> = (0..3_u32.pow(6))
            .map(|code| {
                let digits = (0..6).map(|place| ['a', 'b', '*'][(code / 3_u32.pow(place) % 3) as usize]);
                digits.collect()
            })
            .collect();
        let names = texts.iter().filter(|text| !text.contains('*')).map(|text| &text[1..]);
        for name in names.chain(["", "a", "ab"]) {
            for pattern in texts.iter().map(String::as_str).chain(["", "*", "a", "b*", "é*é"]) {
                let chars = |text: &str| text.chars().collect::<Vec<char>>();
                assert_eq!(
                    glob(pattern, name, None),
                    slowly(&chars(pattern), &chars(name)),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(Patterns::new(vec!["a".to_owned(); 17]).is_err());
        assert!(Patterns::new(vec![String::new()]).is_err());
        assert!(Patterns::new(vec!["é".repeat(257)]).is_err());
        let some = Patterns::new(vec!["road/*".to_owned(), "x".to_owned()]).unwrap();
        assert!(some.matches("road/7/lane") && some.matches("x") && !some.matches("xy"));
        assert!(Patterns::default().matches(""));
    }
}
