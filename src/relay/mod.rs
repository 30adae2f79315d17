//! Bytes moved unseen between client and origin.
