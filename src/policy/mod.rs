//! Who may reach what, when, and why not.

/// Lets `origin::dial` open one connection.
#[derive(Debug)]
pub struct DialPermit(());

/// Lets `relay` or the HTTP client send.
#[derive(Debug)]
pub struct RelayPermit(());

#[cfg(test)]
impl DialPermit {
    pub(crate) fn for_test() -> Self {
        DialPermit(())
    }
}

#[cfg(test)]
impl RelayPermit {
    pub(crate) fn for_test() -> Self {
        RelayPermit(())
    }
}
