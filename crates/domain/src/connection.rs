//! Where a device is connected, and whether that reaches it. A device is alive while it is bound to
//! a gateway whose lease is valid (design section 4): no heartbeat is written for it.

use crate::{GatewayId, Span, Timestamp};

/// Which connection of which gateway a device is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The gateway process.
    pub gateway: GatewayId,
    /// Counts the connections of the device; a newer one replaces an older.
    pub epoch: u64,
}

/// What is known of a gateway's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Valid until, by the store's clock.
    pub until: Timestamp,
}

/// Where a device is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connection {
    /// To no gateway.
    None,
    /// Bound to a gateway; alive when the lease is valid.
    Bound {
        /// The connection.
        binding: Binding,
        /// The gateway's lease.
        lease: Lease,
    },
}

/// Why nothing can be sent to a device now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// There is nobody who could send it.
    #[error("no gateway is alive")]
    NoGateway,
    /// Its gateway may be back in a moment, or the device at another one.
    #[error("its gateway was lost a moment ago")]
    GatewayLost,
    /// It is not there.
    #[error("its agent is not connected")]
    NotConnected,
}

impl Lease {
    /// How long a gateway's lease lasts after each renewal.
    pub const LENGTH: Span = Span::from_secs(10);

    /// Whether its gateway may bind, deliver and record. `now` is the store's clock.
    pub fn is_valid(self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Connection {
    /// A gateway that was lost for less time than this may be back in a moment (9008 rather than
    /// 12006).
    const LOST_RECENTLY: Span = Span::from_secs(60);

    /// The connection over which the device is reached now. `now` is the store's clock.
    pub fn reach(self, now: Timestamp, any_gateway_alive: bool) -> Result<Binding, Unreachable> {
        match self {
            Self::Bound { binding, lease } if lease.is_valid(now) => Ok(binding),
            _ if !any_gateway_alive => Err(Unreachable::NoGateway),
            Self::Bound { lease, .. } if now.distance(lease.until) < Self::LOST_RECENTLY => {
                Err(Unreachable::GatewayLost)
            }
            Self::Bound { .. } | Self::None => Err(Unreachable::NotConnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn bound(until: Timestamp) -> Connection {
        let binding = Binding { gateway: GatewayId::from_bytes([1; 16]), epoch: 1 };
        Connection::Bound { binding, lease: Lease { until } }
    }

    /// Contract 7.3, 9008 and 12006.
    #[test]
    fn a_gateway_that_was_lost_a_moment_ago_is_not_a_device_that_is_away() {
        let ago = |secs| bound(NOW - Span::from_secs(secs));
        assert!(bound(NOW + Span::from_micros(1)).reach(NOW, true).is_ok());
        for (secs, expected) in [
            (0, Unreachable::GatewayLost),
            (59, Unreachable::GatewayLost),
            (60, Unreachable::NotConnected),
            (3600, Unreachable::NotConnected),
        ] {
            assert_eq!(ago(secs).reach(NOW, true), Err(expected), "{secs} s ago, one is alive");
            assert_eq!(ago(secs).reach(NOW, false), Err(Unreachable::NoGateway), "{secs} s ago");
        }
        assert_eq!(Connection::None.reach(NOW, true), Err(Unreachable::NotConnected));
        assert_eq!(Connection::None.reach(NOW, false), Err(Unreachable::NoGateway));
    }
}
