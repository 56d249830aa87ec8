//! The agents' connections on real sockets.
