//! A damaged file may make the database give up by panicking. That ends with an error here, and not the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `act`; gives its panic's words where it panics. What `act` had in hand must not be used after that.
pub(super) fn contained<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    format!("a damaged file ({text})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_words() {
        assert_eq!(contained(|| 3), Ok(3));
        let number = 7;
        assert_eq!(
            contained(|| -> u8 { panic!("page {number}") }),
            Err("a damaged file (page 7)".to_owned())
        );
        assert_eq!(contained(|| -> u8 { panic!("plain") }), Err("a damaged file (plain)".to_owned()));
    }
}
