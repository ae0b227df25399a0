//! Pictures of the accounts: an SVG that follows from the account's id, so that every id has one.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{HeaderName, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{html::HtmlPage, world::World};

/// Route with the platform user id as its one parameter.
pub(crate) fn route() -> MethodRouter<World> {
    get(show)
}

async fn show(Path(id): Path<String>) -> Response {
    let is_id = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id {
        return HtmlPage::error(StatusCode::NOT_FOUND, "An avatar is found by the id of its account.").into_response();
    }
    (HEADERS, svg(&id)).into_response()
}

/// Symmetric pattern of five columns and five rows.
fn svg(id: &str) -> String {
    let digest = <[u8; 32]>::from(Sha256::digest(id));
    let [high, low, cells @ ..] = digest;
    let hue = u16::from_be_bytes([high, low]) % 360;
    let squares = (0..5_usize).flat_map(|row| (0..5_usize).map(move |column| (row, column)));
    let squares = squares.filter(|(row, column)| {
        let mirrored = column.min(&(4 - column)) * 5 + row;
        cells.get(mirrored).is_some_and(|cell| cell % 2 == 0)
    });
    let squares: String = squares
        .map(|(row, column)| format!("<rect x=\"{column}\" y=\"{row}\" width=\"1\" height=\"1\"/>"))
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-1 -1 7 7\" width=\"96\" height=\"96\">\
         <rect x=\"-1\" y=\"-1\" width=\"7\" height=\"7\" fill=\"hsl({hue},45%,88%)\"/>\
         <g fill=\"hsl({hue},60%,35%)\">{squares}</g></svg>"
    )
}

const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "image/svg+xml"),
    (header::CACHE_CONTROL, "max-age=86400"),
    // Pages of applications show it.
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_is_the_same_for_one_id_and_differs_between_ids() {
        assert_eq!(svg("1"), svg("1"));
        assert_ne!(svg("1"), svg("2"));
        assert!(svg("1").matches("<rect").count() > 2);
    }
}
