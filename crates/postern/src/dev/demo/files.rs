//! Files of the page, as they are written in `crates/postern/demo`.

use axum::response::Response;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::refusal::Refusal;

/// File of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// Responds with the file of a path: `/demo` or `/demo/<name>`.
///
/// # Errors
/// 404 for any other path, 405 for any other method than GET and HEAD.
pub(super) fn serve(method: &Method, path: &str) -> Result<Response, Refusal> {
    let name = match path {
        "/demo" => "index.html",
        path => path.strip_prefix("/demo/").unwrap_or_default(),
    };
    let file = FILES
        .iter()
        .find(|file| file.name == name)
        .ok_or_else(Refusal::not_found)?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::method(&Method::GET));
    }
    let mut response = Response::new(file.text.into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    Ok(response)
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Table of files that names each file once.
macro_rules! files {
    ($($name:literal: $media_type:ident),* $(,)?) => {
        &[$(File {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../../../demo/", $name)),
        }),*]
    };
}

/// All files of the folder.
const FILES: &[File] = files! {
    "account_tile.js": JAVASCRIPT,
    "accounts.js": JAVASCRIPT,
    "alerts.js": JAVASCRIPT,
    "api.js": JAVASCRIPT,
    "authenticator.js": JAVASCRIPT,
    "cards.css": CSS,
    "clock.js": JAVASCRIPT,
    "commands.js": JAVASCRIPT,
    "controls.css": CSS,
    "devices.js": JAVASCRIPT,
    "dialogs.js": JAVASCRIPT,
    "dom.js": JAVASCRIPT,
    "emitter.js": JAVASCRIPT,
    "factor.js": JAVASCRIPT,
    "gateways.js": JAVASCRIPT,
    "glossary.js": JAVASCRIPT,
    "identity.js": JAVASCRIPT,
    "index.html": HTML,
    "json.js": JAVASCRIPT,
    "layout.css": CSS,
    "link.js": JAVASCRIPT,
    "main.js": JAVASCRIPT,
    "mask.js": JAVASCRIPT,
    "notifications.js": JAVASCRIPT,
    "overlays.css": CSS,
    "panels.css": CSS,
    "platforms.js": JAVASCRIPT,
    "reauthentication.js": JAVASCRIPT,
    "reconnect.js": JAVASCRIPT,
    "revocation.js": JAVASCRIPT,
    "session.js": JAVASCRIPT,
    "session_end.js": JAVASCRIPT,
    "settings.js": JAVASCRIPT,
    "sign_in.js": JAVASCRIPT,
    "status_bar.js": JAVASCRIPT,
    "step_up.js": JAVASCRIPT,
    "theme.css": CSS,
    "theme.js": JAVASCRIPT,
    "toasts.js": JAVASCRIPT,
    "totp.js": JAVASCRIPT,
    "tour.js": JAVASCRIPT,
    "wire.css": CSS,
    "wire.js": JAVASCRIPT,
    "workspace.js": JAVASCRIPT,
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        let mut written: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        written.sort();
        let mut served: Vec<_> = FILES.iter().map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(served, written);
    }
}
