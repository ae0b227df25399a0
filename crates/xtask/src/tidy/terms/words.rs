//! Refused words and the terms to write for them.

/// Words of an identifier in lower case: parts of `snake_case`, `CamelCase` and `UPPER_CASE`.
pub(super) fn segments(name: &str) -> impl Iterator<Item = String> {
    without_dead_letters(name.split('_').flat_map(camel_parts))
}

/// Words of a message or of prose, in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    without_dead_letters(words.map(str::to_lowercase))
}

/// Words without the `letter` of a `dead letter`, which is the field's term.
fn without_dead_letters(words: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut is_dead = false;
    words.filter(move |word| {
        let is_term = is_dead && matches!(word.as_str(), "letter" | "letters");
        is_dead = word == "dead";
        !is_term
    })
}

/// The refused word and the term for it.
pub(super) fn refused(word: &str) -> Option<(&'static str, &'static str)> {
    let row = TERMS
        .iter()
        .find_map(|(words, term)| Some((words.iter().find(|refused| **refused == word)?, term)));
    row.map(|(word, term)| (*word, *term))
}

fn camel_parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut after_lower = false;
    for c in name.chars() {
        match parts.last_mut() {
            Some(part) if !(c.is_uppercase() && after_lower) => part.extend(c.to_lowercase()),
            _ => parts.push(c.to_lowercase().collect()),
        }
        after_lower = !c.is_uppercase();
    }
    parts
}

const TERMS: &[(&[&str], &str)] = &[
    (
        &["poke", "pokes", "poked", "touch", "touches", "touched", "standing"],
        "check_ttl, renew, expire",
    ),
    (&["over"], "expired, ended, exceeded"),
    (&["seat", "seats"], "subscriber, or concurrency permit"),
    (
        &["ear", "ears", "hear", "hears", "heard", "said"],
        "subscription, received, client message, decoded",
    ),
    (&["room", "rooms"], "user channel, capacity, permits"),
    (&["place", "places", "order", "orders"], "offset, event log, sequence"),
    (&["ticket", "tickets", "hold", "holds"], "resume token"),
    (&["turn", "turns"], "lease, fencing token, drain delay"),
    (&["letter", "letters"], "versioned message, envelope"),
    (&["outlet", "outlets"], "bounded queue, channel"),
    (&["news"], "updates, notifications"),
    (&["begun", "parked", "parking"], "pending authorization, pending link"),
    (&["courier", "couriers"], "sender"),
    (&["wish", "wishes", "wished"], "settings change"),
    (
        &["act", "acts", "deed", "deeds", "about"],
        "audit action, audit subject",
    ),
    (
        &[
            "novelty",
            "novelties",
            "acquaintance",
            "acquaintances",
            "arrival",
            "arrivals",
            "newcomer",
            "newcomers",
        ],
        "first-seen device, sign-in check",
    ),
    (&["manner", "manners", "form", "forms"], "client options, encoding"),
    (&["sealing", "sealings"], "encrypted columns, key rotation"),
    (
        &["pulse", "pulses", "keeper", "keepers", "ground", "grounds"],
        "heartbeat, health monitor, runtime",
    ),
    (
        &["heed", "heeds", "heeded", "insist", "insists"],
        "apply (a pause), retry",
    ),
    (&["tell", "tells", "told"], "notify, record, report"),
];
