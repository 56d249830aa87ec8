//! Control channel: messages, sealing, trust statements, and the conversation without sockets.
