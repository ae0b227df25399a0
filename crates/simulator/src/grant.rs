//! Authorization codes and the tokens they become: RFC 6749 section 4.1 and RFC 7636, the same for every platform.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::{Duration, UtcDateTime};

use crate::{account::Account, platform::Platform};

/// The client id of the one application every pretend platform knows.
pub const CLIENT_ID: &str = "simulated-client";
/// That application's secret; it opens nothing but this simulator.
pub const CLIENT_SECRET: &str = "simulated-client-secret-that-opens-nothing";

/// What one person allowed on the authorize page.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    /// Where it was allowed.
    pub(crate) platform: Platform,
    /// Who allowed it.
    pub(crate) login: String,
    /// What was allowed.
    pub(crate) scopes: BTreeSet<String>,
    /// Where the code was sent.
    pub(crate) redirect_uri: String,
    /// The S256 challenge of RFC 7636, when the client sent one.
    pub(crate) challenge: Option<String>,
}

/// What a client presents to the token endpoint, once it has proved who it is.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    /// Which platform's token endpoint.
    pub(crate) platform: Platform,
    /// The code.
    pub(crate) code: &'a str,
    /// Where the client says the code was sent.
    pub(crate) redirect_uri: Option<&'a str>,
    /// The verifier of RFC 7636.
    pub(crate) verifier: Option<&'a str>,
    /// How this platform's tokens begin.
    pub(crate) token_prefix: &'a str,
    /// What a test code grants: it stands for an authorization in which everything asked for was allowed.
    pub(crate) test_scopes: &'a [&'a str],
}

/// Why a code buys nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Unknown, used, expired, or its verifier is missing or wrong.
    Code,
    /// Not the redirect URI that the code was sent to.
    RedirectUri,
}

/// A live access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Where it is accepted.
    pub platform: Platform,
    /// Whose account it opens.
    pub login: String,
    /// What it allows.
    pub scopes: BTreeSet<String>,
    /// The token itself.
    pub access_token: String,
    /// The code it was issued for: what a second presentation of that code revokes.
    #[serde(skip)]
    code: String,
}

/// Every code and token of every platform.
#[derive(Debug)]
pub(crate) struct Grants {
    minter: Minter,
    codes: BTreeMap<String, Code>,
    tokens: Vec<Token>,
    test_codes: TestCodes,
}

#[derive(Debug)]
struct Code {
    consent: Consent,
    expires_at: UtcDateTime,
    used: bool,
}

/// Whether a test code works once or always.
#[derive(Debug)]
enum TestCodes {
    Reusable,
    /// The codes used so far, with their platform.
    SingleUse(HashSet<(Platform, String)>),
}

impl Grants {
    /// No grants yet; codes and tokens will follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            minter: Minter { seed, minted: 0 },
            codes: BTreeMap::new(),
            tokens: Vec::new(),
            test_codes: TestCodes::Reusable,
        }
    }

    /// Whether test codes work once, like real ones, or always. What was used before is forgotten.
    pub(crate) fn single_use_test_codes(&mut self, single_use: bool) {
        self.test_codes = if single_use {
            TestCodes::SingleUse(HashSet::new())
        } else {
            TestCodes::Reusable
        };
    }

    /// A code for this consent, good for the ten minutes that RFC 6749 section 4.1.2 recommends.
    pub(crate) fn issue_code(&mut self, consent: Consent, now: UtcDateTime) -> String {
        self.codes.retain(|_, code| code.expires_at > now);
        let text = self.minter.mint(20);
        self.codes.insert(
            text.clone(),
            Code {
                consent,
                expires_at: now + Duration::minutes(10),
                used: false,
            },
        );
        text
    }

    /// The token for a code. Any presentation uses the code up; a second one also revokes what the first was given
    /// (RFC 6749 section 4.1.2).
    pub(crate) fn redeem(&mut self, presented: &Presented<'_>, now: UtcDateTime) -> Result<Token, Refusal> {
        let consent = match self.test_consent(presented) {
            Some(consent) => consent?,
            None => self.issued_consent(presented, now)?,
        };
        let token = Token {
            platform: consent.platform,
            login: consent.login,
            scopes: consent.scopes,
            access_token: format!("{}{}", presented.token_prefix, self.minter.mint(36)),
            code: presented.code.to_owned(),
        };
        self.tokens.push(token.clone());
        Ok(token)
    }

    /// The live token with this text.
    pub(crate) fn token(&self, platform: Platform, access_token: &str) -> Option<&Token> {
        self.tokens
            .iter()
            .find(|token| token.platform == platform && token.access_token == access_token)
    }

    /// Every live token, oldest first.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Ends one token.
    pub(crate) fn revoke_token(&mut self, platform: Platform, access_token: &str) {
        self.tokens
            .retain(|token| token.platform != platform || token.access_token != access_token);
    }

    /// Ends every token of one account; says how many there were.
    pub(crate) fn revoke_account(&mut self, platform: Platform, login: &str) -> usize {
        let before = self.tokens.len();
        self.tokens
            .retain(|token| token.platform != platform || token.login != login);
        before - self.tokens.len()
    }

    /// Ends the oldest tokens that are like this one (account and scopes) until `keep` are left.
    pub(crate) fn keep_newest(&mut self, like: &Token, keep: usize) {
        let alike =
            |token: &Token| (token.platform, &token.login, &token.scopes) == (like.platform, &like.login, &like.scopes);
        let mut surplus = self
            .tokens
            .iter()
            .filter(|token| alike(token))
            .count()
            .saturating_sub(keep);
        self.tokens.retain(|token| {
            let ends = surplus > 0 && alike(token);
            surplus -= usize::from(ends);
            !ends
        });
    }

    /// What a test code stands for; `None` if this is an ordinary code.
    fn test_consent(&mut self, presented: &Presented<'_>) -> Option<Result<Consent, Refusal>> {
        let login = Account::of_test_code(presented.code)?;
        let fresh = match &mut self.test_codes {
            TestCodes::Reusable => true,
            TestCodes::SingleUse(used) => used.insert((presented.platform, presented.code.to_owned())),
        };
        if !fresh {
            self.revoke_code(presented);
            return Some(Err(Refusal::Code));
        }
        Some(Ok(Consent {
            platform: presented.platform,
            login,
            scopes: presented.test_scopes.iter().map(ToString::to_string).collect(),
            redirect_uri: presented.redirect_uri.unwrap_or_default().to_owned(),
            challenge: None,
        }))
    }

    /// What was allowed when this code was issued, if it is presented as it must be.
    fn issued_consent(&mut self, presented: &Presented<'_>, now: UtcDateTime) -> Result<Consent, Refusal> {
        let code = self.codes.get_mut(presented.code).ok_or(Refusal::Code)?;
        let (consent, used) = (code.consent.clone(), std::mem::replace(&mut code.used, true));
        let expired = code.expires_at <= now;
        if used {
            self.revoke_code(presented);
        }
        if used || expired || consent.platform != presented.platform {
            return Err(Refusal::Code);
        }
        if presented.redirect_uri.is_some_and(|uri| uri != consent.redirect_uri) {
            return Err(Refusal::RedirectUri);
        }
        let proved = match &consent.challenge {
            None => true,
            Some(challenge) => presented.verifier.is_some_and(|verifier| s256(verifier) == *challenge),
        };
        if proved { Ok(consent) } else { Err(Refusal::Code) }
    }

    fn revoke_code(&mut self, presented: &Presented<'_>) {
        self.tokens
            .retain(|token| token.platform != presented.platform || token.code != presented.code);
    }
}

/// The S256 challenge of a verifier (RFC 7636 section 4.2).
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Makes texts that nobody guesses who does not know the seed, and that a test meets again with the same seed.
#[derive(Debug)]
struct Minter {
    seed: u64,
    minted: u64,
}

impl Minter {
    /// The next text: that many hexadecimal digits, at most 64.
    fn mint(&mut self, digits: usize) -> String {
        self.minted += 1;
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.minted.to_be_bytes());
        let mut text: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        text.truncate(digits);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of RFC 7636 appendix B.
    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_code_expires_after_ten_minutes() {
        let mut grants = Grants::new(1);
        let consent = Consent {
            platform: Platform::Github,
            login: "ada".into(),
            scopes: BTreeSet::new(),
            redirect_uri: "https://app.example/back".into(),
            challenge: None,
        };
        let issued = UtcDateTime::UNIX_EPOCH;
        let code = grants.issue_code(consent, issued);
        let presented = Presented {
            platform: Platform::Github,
            code: &code,
            redirect_uri: None,
            verifier: None,
            token_prefix: "",
            test_scopes: &[],
        };
        assert_eq!(
            grants.redeem(&presented, issued + Duration::minutes(10)),
            Err(Refusal::Code)
        );
    }
}
