//! Which operation the user's code called: messages say `linear`, not the `matmul` that it is made of.

use std::cell::Cell;

thread_local! {
    static CALLED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// An operation in progress; see [`calling`].
pub(crate) struct Calling {
    outermost: bool,
}

/// Names the operation that runs until the value is dropped. Inside another one it changes nothing.
pub(crate) fn calling(name: &'static str) -> Calling {
    let outermost = CALLED.get().is_none();
    if outermost {
        CALLED.set(Some(name));
    }
    Calling { outermost }
}

/// The operation that the user's code called, or `name` where none is in progress.
pub(crate) fn called(name: &'static str) -> &'static str {
    CALLED.get().unwrap_or(name)
}

impl Drop for Calling {
    fn drop(&mut self) {
        if self.outermost {
            CALLED.set(None);
        }
    }
}
