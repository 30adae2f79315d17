//! What makes a row provable: its leaf, the tree it stands in, the signed root of that tree, and the key that signs.
//!
//! Everything here is a function of values: a leaf is computed from nothing but what a store holds of a row and a
//! secret, so that journal, store, export and verifier all arrive at the same. The bytes are specified in
//! `docs/proof.md`, closely enough for somebody else to write a verifier; this page is the short form.
//!
//! | hash (SHA-256 of) | bytes |
//! |---|---|
//! | half | tag (1), salt (16), the half's fields in canonical encoding |
//! | leaf | `00`, when + who half (32), what half (32) |
//! | node | `01`, left (32), right (32), in the shape of RFC 6962 |
//!
//! A row's two halves can be opened apart: who was there at some time without where to, or where somebody went without
//! who. The start stands in both, so that either can be held against a range of time.
//!
//! Type to read first: [`Halves`]; then [`Root`].

mod hash;
mod key;
mod leaf;
mod root;
mod sealed;
mod tree;

pub use hash::{Hash, Secret};
pub use key::{Fingerprint, KeyError, PublicKey, Signature, Signer};
pub use leaf::{
    AccessWhat, AccessWho, ConnectionWhat, ConnectionWho, GapWhat, GapWhen, Half, HalfName, Halves, Salt, Salts, leaf,
};
pub use root::{ClockQuality, Root, RootError, SignedText};
pub use sealed::{BadSealed, Circumstances, Growing, Keys, Sealed};
pub use tree::{prove, recompute, tree_root};
