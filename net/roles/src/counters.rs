//! Counts of what became of things, by name.

/// Declares a struct of counts with a method that lists them in the order of their declaration.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: u64,)*
        }

        impl $name {
            pub(crate) fn list(&self, out: &mut Vec<(&'static str, u64)>) {
                out.extend([$((stringify!($field), self.$field)),*]);
            }
        }
    };
}
pub(crate) use counters;

/// What two parts of a node counted under a name, together: the sum, and of largest values (those with `_max_` in their name) the
/// largest.
///
/// ```
/// use centauri_roles::count_of_both;
/// assert_eq!(count_of_both("records_late", 2, 3), 5);
/// assert_eq!(count_of_both("close_late_max_ns", 2, 3), 3);
/// ```
#[must_use]
pub fn count_of_both(name: &str, a: u64, b: u64) -> u64 {
    if name.contains("_max_") { a.max(b) } else { a.saturating_add(b) }
}
