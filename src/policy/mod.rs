//! Who may reach what, when, and why not.
