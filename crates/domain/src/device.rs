//! What a device is and does (contract sections 4.3 and 5), and when it may be reset.

/// A number that the contract does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a known status")]
pub struct UnknownStatus(pub u8);

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $text] $variant = $number,)*
        }

        impl $name {
            /// The number on the wire.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The status in words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl TryFrom<u8> for $name {
            type Error = UnknownStatus;

            fn try_from(number: u8) -> Result<Self, UnknownStatus> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(UnknownStatus(number)),
                }
            }
        }
    };
}

statuses! {
    /// Where a device is in its life.
    DeviceStatus {
        Applying = 1, "applying";
        Initializing = 2, "initializing";
        InitializationFailed = 3, "initialization failed";
        InOperation = 4, "in operation";
        HardwareFailure = 5, "hardware failure";
        NetworkError = 6, "network configuration error";
        Isolating = 7, "isolating";
        Isolated = 8, "isolated";
        IsolationFailed = 9, "isolation failed";
        DeIsolating = 10, "de-isolating";
        DeIsolationFailed = 11, "de-isolation failed";
        GoingOffline = 12, "going offline";
        Offline = 13, "offline";
        Expired = 14, "expired";
        InFailure = 16, "in failure";
    }
}

statuses! {
    /// What is being done to a device. `ResettingPassword` is never stored: a device with an open
    /// job shows it.
    OperateStatus {
        Running = 1, "running";
        ShuttingDown = 2, "shutting down";
        ShutDown = 3, "shut down";
        ShutdownFailed = 4, "shutdown failed";
        Starting = 5, "starting";
        StartFailed = 6, "start failed";
        Rebooting = 7, "rebooting";
        RebootFailed = 8, "reboot failed";
        Reinstalling = 9, "reinstalling";
        ReinstallFailed = 10, "reinstall failed";
        ResettingPassword = 11, "resetting password";
        BindingEip = 12, "binding EIP";
        UnbindingEip = 13, "unbinding EIP";
        BindingLb = 14, "binding LB";
        UnbindingLb = 15, "unbinding LB";
        ChangingIp = 19, "changing IP";
        MakingImage = 20, "making image";
        ImageFailed = 21, "image failed";
        FailedToBeReinstalled = 23, "failed, to be reinstalled";
        NoSparePart = 24, "no spare part, to be returned";
    }
}

statuses! {
    /// How a device is paid for (contract 4.3).
    PayMode {
        Unknown = 0, "unknown";
        Prepaid = 1, "prepaid";
        Postpaid = 2, "postpaid";
        Changing = 3, "changing";
    }
}

/// Whether somebody is bound to mend a device (contract 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaintainStatus {
    /// Yes.
    Maintain,
    /// Yes, and this ends soon.
    WillExpire,
    /// No longer.
    Expire,
}

impl MaintainStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Maintain, Self::WillExpire, Self::Expire];

    /// The names on the wire.
    pub const NAMES: [&str; 3] =
        [Self::Maintain.name(), Self::WillExpire.name(), Self::Expire.name()];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Maintain => "Maintain",
            Self::WillExpire => "WillExpire",
            Self::Expire => "Expire",
        }
    }

    /// The status with this name; case matters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl OperateStatus {
    /// True while another operation is under way, so that asking again later makes sense.
    pub const fn is_in_progress(self) -> bool {
        matches!(self.number(), 2 | 5 | 7 | 9 | 11..=15 | 19 | 20)
    }
}

/// Why a device's state does not allow a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefusal {
    /// It is not in operation.
    #[error("device status is {} ({}), not 4 (in operation)", .0.number(), .0.text())]
    NotInOperation(DeviceStatus),
    /// Something else is being done to it.
    #[error("operate status is {} ({}): another operation is in progress", .0.number(), .0.text())]
    Busy(OperateStatus),
    /// It rests in a state other than running.
    #[error("operate status is {} ({}), not 1 (running)", .0.number(), .0.text())]
    NotRunning(OperateStatus),
}

/// The reset rule: allowed only in operation and running (contract section 5).
pub const fn check_reset_allowed(
    device: DeviceStatus,
    operate: OperateStatus,
) -> Result<(), ResetRefusal> {
    match (device, operate) {
        (DeviceStatus::InOperation, OperateStatus::Running) => Ok(()),
        (DeviceStatus::InOperation, busy) if busy.is_in_progress() => Err(ResetRefusal::Busy(busy)),
        (DeviceStatus::InOperation, other) => Err(ResetRefusal::NotRunning(other)),
        (other, _) => Err(ResetRefusal::NotInOperation(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_device_in_operation_is_reset() {
        let all = |n: u8| (DeviceStatus::try_from(n), OperateStatus::try_from(n));
        for (device, _) in (0..=255).map(all) {
            for (_, operate) in (0..=255).map(all) {
                let (Ok(device), Ok(operate)) = (device, operate) else { continue };
                let allowed = check_reset_allowed(device, operate).is_ok();
                assert_eq!(allowed, device.number() == 4 && operate.number() == 1);
            }
        }
    }

    #[test]
    fn a_maintain_status_is_found_by_its_own_name() {
        assert_eq!(MaintainStatus::ALL.map(MaintainStatus::name), MaintainStatus::NAMES);
        let found = MaintainStatus::NAMES.map(MaintainStatus::named);
        assert_eq!(found, MaintainStatus::ALL.map(Some));
        assert_eq!(MaintainStatus::named("expire"), None);
    }

    #[test]
    fn the_contracts_two_classes_of_refusal() {
        for number in [2, 5, 7, 9, 11, 12, 13, 14, 15, 19, 20] {
            let operate = OperateStatus::try_from(number).unwrap();
            let refusal = check_reset_allowed(DeviceStatus::InOperation, operate);
            assert_eq!(refusal, Err(ResetRefusal::Busy(operate)));
        }
        for number in [3, 4, 6, 8, 10, 21, 23, 24] {
            let operate = OperateStatus::try_from(number).unwrap();
            let refusal = check_reset_allowed(DeviceStatus::InOperation, operate);
            assert_eq!(refusal, Err(ResetRefusal::NotRunning(operate)));
        }
    }
}
