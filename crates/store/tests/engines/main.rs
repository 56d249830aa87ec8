//! The store's contract, kept by both engines, what each does besides, and the way from one to the
//! other.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod sqlite;
