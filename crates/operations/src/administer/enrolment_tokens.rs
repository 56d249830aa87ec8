use opencpm_domain::{AppId, Condition, InstanceId, Refusal, Span, Timestamp};
use opencpm_protocol::token::EnrolmentToken as Token;
use secrecy::SecretString;

use super::{Administrator, accounts, devices, write};
use crate::authentic::token_mac;
use crate::port::{Change, Generator};
use crate::role::ApiRole;
use crate::row::EnrolmentToken;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewEnrolmentToken {
    /// The account that the machines come into.
    pub account: AppId,
    /// The one device that it enrols again; otherwise it makes new devices.
    pub device: Option<InstanceId>,
    /// How many machines may use it, at least 1.
    pub uses: u32,
    /// How long it is good for.
    pub lifetime: Span,
}

/// A new token, for the only time in clear.
#[derive(Debug)]
pub struct MadeToken {
    /// One copyable string.
    pub token: SecretString,
    /// Refused from then on.
    pub expires: Timestamp,
}

/// Makes an enrolment token.
pub async fn create_enrolment_token(
    role: &ApiRole,
    by: Administrator,
    new: NewEnrolmentToken,
) -> Result<MadeToken, Refusal> {
    accounts::account(role, new.account).await?;
    if let Some(instance) = &new.device {
        let device = devices::any_device(role, instance).await?;
        if device.authority.account != new.account {
            let why = format!("{instance}: the device is not of account {}", new.account);
            return Err(Refusal::new(Condition::NotFound, why));
        }
    }
    let trust = role.trust.now();
    let token = Token::generate(
        &mut Generator(&*role.random),
        trust.root,
        trust.deployment(),
        role.settings.enrolment_addresses().to_vec(),
        new.device.clone(),
    )
    .map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no token can be made");
        Refusal::new(Condition::ServerBug, "the addresses of the gateways do not fit a token")
    })?;
    let expires = role.clock.now() + new.lifetime;
    let mut row = EnrolmentToken {
        hash: token.secret_hash(),
        app_id: new.account,
        device: new.device,
        uses_left: new.uses,
        expires,
        mac: [0; 32],
    };
    row.mac = token_mac(&*role.keys, &row);
    let subject = match &row.device {
        Some(instance) => format!("enrolment token for device {instance}"),
        None => format!("enrolment token for account {}", row.app_id),
    };
    write(role, by, "CreateEnrolmentToken", subject, Change::CreateEnrolmentToken(row)).await?;
    Ok(MadeToken { token: token.to_secret_text(), expires })
}
