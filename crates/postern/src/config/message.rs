//! Senders of second-factor codes: a mail server and an SMS API.

use clap::Args;
use worker::{EmailSettings, FromAddress, SmsSettings, SmtpServer};

use super::{Problems, SecretArg, heading, name};

/// Mail server; without a URL the method `email` is not offered.
#[derive(Debug, Clone, Args)]
pub struct EmailArgs {
    /// URL: `smtps://user:password@host`, or `smtp://...` with STARTTLS; plain only to a loopback address.
    #[arg(long, env = "POSTERN_SMTP_URL", help_heading = heading::EMAIL_AND_SMS)]
    pub smtp_url: Option<SecretArg>,
    /// Sender: `Postern <postern@example.com>`.
    #[arg(long, env = "POSTERN_SMTP_FROM", help_heading = heading::EMAIL_AND_SMS)]
    pub smtp_from: Option<String>,
}

impl EmailArgs {
    /// Checks the section; none if the method is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<EmailSettings> {
        let url = problems.secret("POSTERN_SMTP_URL", self.smtp_url.as_ref()?);
        let server = url.and_then(|url| problems.take("POSTERN_SMTP_URL", SmtpServer::parse(&url)));
        let from = problems
            .require("POSTERN_SMTP_FROM", self.smtp_from.as_deref(), "the mail server is set")
            .and_then(|from| problems.take("POSTERN_SMTP_FROM", FromAddress::parse(from)));
        Some(EmailSettings {
            server: server?,
            from: from?,
        })
    }
}

/// SMS API; without a URL the method `sms` is not offered.
#[derive(Debug, Clone, Args)]
pub struct SmsArgs {
    /// URL of an API compatible with Twilio: `https://api.twilio.com`.
    #[arg(long, env = "POSTERN_SMS_URL", help_heading = heading::EMAIL_AND_SMS)]
    pub sms_url: Option<String>,
    /// SID of the account.
    #[arg(long, env = "POSTERN_SMS_ACCOUNT", value_parser = name, help_heading = heading::EMAIL_AND_SMS)]
    pub sms_account: Option<String>,
    /// Token of the account.
    #[arg(long, env = SMS_TOKEN, help_heading = heading::EMAIL_AND_SMS)]
    pub sms_token: Option<SecretArg>,
    /// Sender: a number of the account.
    #[arg(long, env = "POSTERN_SMS_FROM", value_parser = name, help_heading = heading::EMAIL_AND_SMS)]
    pub sms_from: Option<String>,
}

impl SmsArgs {
    /// Checks the section; none if the method is off.
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
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn mail_server_without_sender_is_refused_without_its_password() {
        let args = EmailArgs {
            smtp_url: Some(SecretArg::from(OsString::from(
                "smtps://user:hunter2@mail.example/path",
            ))),
            smtp_from: None,
        };
        let mut problems = Problems::default();
        assert!(args.check(&mut problems).is_none());
        let error = problems.finish::<()>(None).unwrap_err().to_string();
        assert!(
            error.contains("POSTERN_SMTP_URL") && error.contains("POSTERN_SMTP_FROM"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn unset_section_has_no_problems() {
        let mut problems = Problems::default();
        let none = EmailArgs {
            smtp_url: None,
            smtp_from: None,
        };
        assert!(none.check(&mut problems).is_none());
        assert!(problems.finish(Some(())).is_ok());
    }
}
