//! The tests are in `tests/`; what several of them need is here.
