//! The store's contract, kept by both engines, and what each does besides.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod sqlite;
