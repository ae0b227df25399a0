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

/// All files of the folder.
const FILES: &[File] = &[File {
    name: "index.html",
    media_type: HTML,
    text: include_str!("../../../demo/index.html"),
}];

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
