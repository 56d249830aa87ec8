//! Use cases of the service and the ports they need.
