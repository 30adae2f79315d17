//! Start, reload, drain.
