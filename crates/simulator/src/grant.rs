//! Authorization codes and the tokens they become: RFC 6749 section 4.1 and RFC 7636, the same for every platform.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
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

/// How a platform issues what it issues.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Which platform.
    pub(crate) platform: Platform,
    /// How its tokens begin.
    pub(crate) token_prefix: &'static str,
    /// How its refresh tokens begin.
    pub(crate) refresh_prefix: &'static str,
    /// How long its codes are good.
    pub(crate) code_lifetime: Duration,
    /// How long its access tokens are good; none: until they are revoked.
    pub(crate) access_lifetime: Option<Duration>,
    /// Which grants come with a refresh token.
    pub(crate) renewal: Renewal,
    /// What a test code grants: it stands for an authorization in which everything asked for was allowed.
    pub(crate) test_scopes: &'static [&'static str],
}

/// Which grants of a platform come with a refresh token.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// None.
    Never,
    /// All.
    Always,
    /// Those with this scope.
    With(&'static str),
}

impl Terms {
    fn renews(&self, scopes: &BTreeSet<String>) -> bool {
        match self.renewal {
            Renewal::Never => false,
            Renewal::Always => true,
            Renewal::With(scope) => scopes.contains(scope),
        }
    }
}

/// What a client presents to the token endpoint, once it has proved who it is.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    /// How the platform it is presented to issues tokens.
    pub(crate) terms: &'static Terms,
    /// The code.
    pub(crate) code: &'a str,
    /// Where the client says the code was sent.
    pub(crate) redirect_uri: Option<&'a str>,
    /// The verifier of RFC 7636.
    pub(crate) verifier: Option<&'a str>,
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
    /// What buys the next one; none if that was done, or if the platform has no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token ends by itself.
    #[serde(skip)]
    expires_at: Option<UtcDateTime>,
    /// The authorization it goes back to, through any number of refreshes.
    #[serde(skip)]
    family: u64,
    /// The code it was issued for: what a second presentation of that code revokes.
    #[serde(skip)]
    code: String,
}

/// What an account has granted and nobody has taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LiveGrant {
    /// At which platform.
    pub platform: Platform,
    /// Whose account it opens.
    pub login: String,
}

/// Every code and token of every platform.
#[derive(Debug)]
pub(crate) struct Grants {
    minter: Minter,
    codes: BTreeMap<String, Code>,
    tokens: Vec<Token>,
    families: u64,
    /// Refresh tokens that were used, with their families.
    spent: HashMap<(Platform, String), u64>,
    /// Access tokens that end sooner than their platform's terms say.
    lifetimes: HashMap<Platform, Duration>,
    test_codes: TestCodes,
}

/// What became of a refresh token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// It bought new tokens and is spent.
    Rotated,
    /// It was spent before: every token of its family is dead now, also those that the first use bought.
    Reused,
    /// It is nobody's.
    Unknown,
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
            families: 0,
            spent: HashMap::new(),
            lifetimes: HashMap::new(),
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

    /// From now on access tokens of this platform are good for so long.
    pub(crate) fn set_lifetime(&mut self, platform: Platform, lifetime: Duration) {
        self.lifetimes.insert(platform, lifetime);
    }

    /// Ends the access tokens of one account as time would; says how many there were. Refresh tokens stay good.
    pub(crate) fn expire(&mut self, platform: Platform, login: &str, now: UtcDateTime) -> usize {
        let live = self
            .tokens
            .iter_mut()
            .filter(|token| (token.platform, token.login.as_str()) == (platform, login) && token.is_good(now));
        live.map(|token| token.expires_at = Some(now)).count()
    }

    /// A code for this consent.
    pub(crate) fn issue_code(&mut self, consent: Consent, terms: &Terms, now: UtcDateTime) -> String {
        self.codes.retain(|_, code| code.expires_at > now);
        let text = self.minter.mint(20);
        self.codes.insert(
            text.clone(),
            Code {
                consent,
                expires_at: now + terms.code_lifetime,
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
        self.families += 1;
        let root = Root {
            login: consent.login,
            scopes: consent.scopes,
            family: self.families,
            code: presented.code.to_owned(),
        };
        Ok(self.issue(presented.terms, root, now))
    }

    /// New tokens for a refresh token, which is spent by it; whose it is, where it is anybody's. Presenting a spent one ends its
    /// whole family (RFC 9700 section 4.14.2): the platform cannot know which of the two who had it is the thief.
    pub(crate) fn refresh(&mut self, terms: &Terms, refresh_token: &str, now: UtcDateTime) -> Renewed {
        let key = (terms.platform, refresh_token.to_owned());
        let current = self
            .tokens
            .iter_mut()
            .find(|token| token.platform == terms.platform && token.refresh_token.as_deref() == Some(refresh_token));
        let Some(current) = current else {
            let family = self.spent.get(&key).copied();
            let dead = |token: &Token| Some(token.family) == family;
            let login = self
                .tokens
                .iter()
                .find(|token| dead(token))
                .map(|token| token.login.clone());
            self.tokens.retain(|token| !dead(token));
            let rotation = family.map_or(Rotation::Unknown, |_| Rotation::Reused);
            return Renewed {
                rotation,
                login,
                token: None,
            };
        };
        current.refresh_token = None;
        let root = Root {
            login: current.login.clone(),
            scopes: current.scopes.clone(),
            family: current.family,
            code: current.code.clone(),
        };
        self.spent.insert(key, root.family);
        // The old access token lives out its time, as nothing documented ends it sooner.
        let family = root.family;
        self.tokens.retain(|token| token.family != family || token.is_good(now));
        let token = self.issue(terms, root, now);
        Renewed {
            rotation: Rotation::Rotated,
            login: Some(token.login.clone()),
            token: Some(token),
        }
    }

    fn issue(&mut self, terms: &Terms, root: Root, now: UtcDateTime) -> Token {
        let renews = terms.renews(&root.scopes);
        let refresh_token = renews.then(|| format!("{}{}", terms.refresh_prefix, self.minter.mint(40)));
        let lifetime = self.lifetimes.get(&terms.platform).copied().or(terms.access_lifetime);
        let token = Token {
            platform: terms.platform,
            login: root.login,
            scopes: root.scopes,
            access_token: format!("{}{}", terms.token_prefix, self.minter.mint(36)),
            refresh_token,
            expires_at: lifetime.map(|lifetime| now + lifetime),
            family: root.family,
            code: root.code,
        };
        self.tokens.push(token.clone());
        token
    }

    /// The token with this text, while its access token is good.
    pub(crate) fn token(&self, platform: Platform, access_token: &str, now: UtcDateTime) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| token.platform == platform && token.access_token == access_token && token.is_good(now))
    }

    /// The token that either of these texts belongs to, access or refresh, expired or not.
    pub(crate) fn either(&self, platform: Platform, text: &str) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| {
            token.platform == platform && (token.access_token == text || token.refresh_token.as_deref() == Some(text))
        })
    }

    /// Ends one refresh token; the access token beside it lives on.
    pub(crate) fn revoke_refresh_token(&mut self, platform: Platform, refresh_token: &str) {
        let alike =
            |token: &&mut Token| token.platform == platform && token.refresh_token.as_deref() == Some(refresh_token);
        if let Some(token) = self.tokens.iter_mut().find(alike) {
            token.refresh_token = None;
        }
    }

    /// Ends one access token; the refresh token beside it stays good.
    pub(crate) fn revoke_access_token(&mut self, platform: Platform, access_token: &str, now: UtcDateTime) {
        for token in &mut self.tokens {
            if token.platform == platform && token.access_token == access_token {
                token.expires_at = Some(now);
            }
        }
        self.tokens.retain(|token| token.is_alive(now));
    }

    /// The accounts that the application still has something of, an access token or what buys one.
    pub(crate) fn live(&self, now: UtcDateTime) -> BTreeSet<LiveGrant> {
        let alive = self.tokens.iter().filter(|token| token.is_alive(now));
        let of = |token: &Token| LiveGrant {
            platform: token.platform,
            login: token.login.clone(),
        };
        alive.map(of).collect()
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
            TestCodes::SingleUse(used) => used.insert((presented.terms.platform, presented.code.to_owned())),
        };
        if !fresh {
            self.revoke_code(presented);
            return Some(Err(Refusal::Code));
        }
        Some(Ok(Consent {
            platform: presented.terms.platform,
            login,
            scopes: presented.terms.test_scopes.iter().map(ToString::to_string).collect(),
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
        if used || expired || consent.platform != presented.terms.platform {
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
            .retain(|token| token.platform != presented.terms.platform || token.code != presented.code);
    }
}

impl Token {
    fn is_alive(&self, now: UtcDateTime) -> bool {
        self.is_good(now) || self.refresh_token.is_some()
    }

    fn is_good(&self, now: UtcDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// How long the access token is good from now.
    pub(crate) fn expires_in(&self, now: UtcDateTime) -> Option<Duration> {
        self.expires_at.map(|end| end - now)
    }
}

/// What a token goes back to.
struct Root {
    login: String,
    scopes: BTreeSet<String>,
    family: u64,
    code: String,
}

/// What presenting a refresh token led to.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) rotation: Rotation,
    /// Whose it is; none if nothing of the family is left.
    pub(crate) login: Option<String>,
    pub(crate) token: Option<Token>,
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
        let mut text = HEXLOWER.encode(&digest.finalize());
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

    const TERMS: Terms = Terms {
        platform: Platform::Discord,
        token_prefix: "",
        refresh_prefix: "",
        code_lifetime: Duration::minutes(10),
        access_lifetime: Some(Duration::HOUR),
        renewal: Renewal::Always,
        test_scopes: &[],
    };
    const START: UtcDateTime = UtcDateTime::UNIX_EPOCH;

    fn presented(code: &str) -> Presented<'_> {
        Presented {
            terms: &TERMS,
            code,
            redirect_uri: None,
            verifier: None,
        }
    }

    #[test]
    fn a_code_ends_with_its_lifetime() {
        let mut grants = Grants::new(1);
        let consent = Consent {
            platform: Platform::Discord,
            login: "ada".into(),
            scopes: BTreeSet::new(),
            redirect_uri: "https://app.example/back".into(),
            challenge: None,
        };
        let code = grants.issue_code(consent, &TERMS, START);
        let late = grants.redeem(&presented(&code), START + Duration::minutes(10));
        assert_eq!(late, Err(Refusal::Code));
    }

    #[test]
    fn an_access_token_ends_and_its_refresh_token_does_not() {
        let mut grants = Grants::new(1);
        let first = grants.redeem(&presented("test_code_ada"), START).unwrap();
        let later = START + Duration::HOUR;
        let alive = |grants: &Grants, now| grants.token(Platform::Discord, &first.access_token, now).is_some();
        assert!(alive(&grants, later - Duration::SECOND) && !alive(&grants, later));
        let renewed = grants.refresh(&TERMS, &first.refresh_token.unwrap(), later);
        assert_eq!(renewed.rotation, Rotation::Rotated);
        let token = renewed.token.unwrap();
        assert_eq!(token.expires_in(later), Some(Duration::HOUR));
        assert_eq!(grants.tokens(), [token], "what expired is forgotten");
    }
}
