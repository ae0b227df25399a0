//! What carries the codes of second factors: a mail server, and an SMS API.

use clap::Args;
use protocol::secret::Secret;
use worker::{EmailSettings, FromAddress, SmsSettings, SmtpServer};

use super::{Problems, name, secret};

/// Where emails go out; without a URL the method `email` is not offered.
#[derive(Debug, Clone, Args)]
pub struct EmailArgs {
    /// `smtps://user:password@host`, or `smtp://...` with STARTTLS; plain only to a loopback address.
    #[arg(long, env = "POSTERN_SMTP_URL", hide_env_values = true, value_parser = secret)]
    pub smtp_url: Option<Secret>,
    /// Who sends: `Postern <postern@example.com>`.
    #[arg(long, env = "POSTERN_SMTP_FROM")]
    pub smtp_from: Option<String>,
}

impl EmailArgs {
    /// Checks the section; none when the method is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<EmailSettings> {
        let url = self.smtp_url.as_ref()?;
        let server = problems.take("POSTERN_SMTP_URL", SmtpServer::parse(url));
        let from = problems
            .require("POSTERN_SMTP_FROM", self.smtp_from.as_deref(), "the mail server is set")
            .and_then(|from| problems.take("POSTERN_SMTP_FROM", FromAddress::parse(from)));
        Some(EmailSettings {
            server: server?,
            from: from?,
        })
    }
}

/// Where text messages go out; without a URL the method `sms` is not offered.
#[derive(Debug, Clone, Args)]
pub struct SmsArgs {
    /// An API as Twilio has it: `https://api.twilio.com`.
    #[arg(long, env = "POSTERN_SMS_URL")]
    pub sms_url: Option<String>,
    /// The account's SID.
    #[arg(long, env = "POSTERN_SMS_ACCOUNT", value_parser = name)]
    pub sms_account: Option<String>,
    /// The account's token.
    #[arg(long, env = SMS_TOKEN, hide_env_values = true, value_parser = secret)]
    pub sms_token: Option<Secret>,
    /// Who sends: a number of the account's.
    #[arg(long, env = "POSTERN_SMS_FROM", value_parser = name)]
    pub sms_from: Option<String>,
}

impl SmsArgs {
    /// Checks the section; none when the method is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<SmsSettings> {
        let url = self.sms_url.as_deref()?;
        let is_set = "the SMS API is set";
        let account = problems.require("POSTERN_SMS_ACCOUNT", self.sms_account.clone(), is_set);
        let token = problems
            .require(SMS_TOKEN, self.sms_token.as_ref(), is_set)
            .and_then(|token| problems.header(SMS_TOKEN, Some(token)));
        let from = problems.require("POSTERN_SMS_FROM", self.sms_from.clone(), is_set);
        let settings = SmsSettings::new(url, account?, token?, from?);
        problems.take("POSTERN_SMS_URL", settings)
    }
}

const SMS_TOKEN: &str = "POSTERN_SMS_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_needs_a_sender_and_repeats_no_password() {
        let args = EmailArgs {
            smtp_url: Some(Secret::new("smtps://user:hunter2@mail.example/path")),
            smtp_from: None,
        };
        let mut problems = Problems::default();
        assert!(args.check(&mut problems).is_none());
        let said = problems.finish::<()>(None).unwrap_err().to_string();
        assert!(
            said.contains("POSTERN_SMTP_URL") && said.contains("POSTERN_SMTP_FROM"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn nothing_is_needed_where_nothing_is_set() {
        let mut problems = Problems::default();
        let none = EmailArgs {
            smtp_url: None,
            smtp_from: None,
        };
        assert!(none.check(&mut problems).is_none());
        assert!(problems.finish(Some(())).is_ok());
    }
}
