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
