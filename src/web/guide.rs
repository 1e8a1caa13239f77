//! The manual in the console: the same texts as `pacsferry guide`, as pages.

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

use super::answer::{Frame, Refused, page};
use super::guard::Signed;
use crate::guide::{TOPICS, Topic, text};

#[derive(Template)]
#[template(path = "guide.html", config = "src/web/templates/askama.toml")]
struct GuidePage {
    frame: Frame,
    topic: Option<Topic>,
    topics: &'static [Topic],
    content: String,
}

pub(super) async fn contents(signed: Signed) -> Response {
    let frame = Frame::of(&signed, "guide");
    page(&GuidePage { frame, topic: None, topics: &TOPICS, content: String::new() })
}

pub(super) async fn show(signed: Signed, Path(name): Path<String>) -> Result<Response, Refused> {
    let topic = TOPICS.iter().find(|topic| topic.name == name).copied();
    let found = topic.zip(text(&name));
    let (topic, text) = found.ok_or_else(|| Refused::missing("the manual has no such chapter"))?;
    let content = if topic.name == "config" { listing(&text) } else { markup(&text) };
    let frame = Frame::of(&signed, "guide");
    Ok(page(&GuidePage { frame, topic: Some(topic), topics: &TOPICS, content }))
}

/// A picture of a chapter.
pub(super) async fn picture(_: Signed, Path(name): Path<String>) -> Result<Response, Refused> {
    let bytes = crate::guide::picture(&name).ok_or_else(|| Refused::missing("the manual has no such picture"))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("image/png"))], bytes).into_response())
}

/// Where the console has a picture of the manual.
fn place_of(picture: &str) -> Option<String> {
    let name = picture.strip_prefix("pictures/")?;
    crate::guide::picture(name).map(|_| format!("/guide/pictures/{name}"))
}

/// A file as it is.
fn listing(text: &str) -> String {
    let parts = [
        Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented)),
        Event::Text(text.into()),
        Event::End(TagEnd::CodeBlock),
    ];
    let mut made = String::from("<h1>The configuration</h1>\n");
    html::push_html(&mut made, parts.into_iter());
    made
}

/// HTML of a text of ours. What looks like HTML in it is text, links lead nowhere but to other pages of the console, and
/// nothing has a style of its own, which the console's policy would not allow.
fn markup(text: &str) -> String {
    let options = Options::ENABLE_TABLES;
    let mut is_unknown = false;
    let parser = Parser::new_ext(text, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Table(columns)) => {
            Event::Start(Tag::Table(vec![pulldown_cmark::Alignment::None; columns.len()]))
        }
        Event::Start(Tag::Link { dest_url, link_type, title, id }) => {
            let ours = dest_url.starts_with('/') && !dest_url.starts_with("//");
            let dest_url = if ours { dest_url } else { "/guide".into() };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        // Any other picture would have to come from somewhere: its text is left.
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let place = place_of(&dest_url);
            is_unknown = place.is_none();
            match place {
                Some(place) => Event::Start(Tag::Image { link_type, dest_url: place.into(), title, id }),
                None => Event::Start(Tag::Emphasis),
            }
        }
        Event::End(TagEnd::Image) if is_unknown => Event::End(TagEnd::Emphasis),
        other => other,
    });
    let mut made = String::new();
    html::push_html(&mut made, parser);
    made.replace("<table>", "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>")
        .replace("</table>", "</table></div>")
        .replace("<th>", "<th scope=\"col\">")
        .replace("<pre>", "<pre tabindex=\"0\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup_that_was_not_meant() {
        let made = markup(
            "a <b onclick=x>c</b> [d](javascript:alert(1)) ![e](https://evil.example/f)\n\n| g |\n|--:|\n| `<h>` |\n",
        );
        for bad in ["<b", "javascript:", "<img", "https:", "style=", "<h>"] {
            assert!(!made.contains(bad), "{bad} in {made}");
        }
        assert!(made.contains("<th scope=\"col\">g</th>") && made.contains("&lt;h&gt;"), "{made}");
    }

    #[test]
    fn every_chapter_can_be_shown_with_one_heading_at_the_top() {
        for topic in TOPICS {
            let text = text(topic.name).unwrap();
            let made = if topic.name == "config" { listing(&text) } else { markup(&text) };
            assert_eq!(made.matches("<h1>").count(), 1, "{}", topic.name);
            assert!(!made.contains("style=") && !made.contains("<script"), "{}", topic.name);
            assert_eq!(made.matches("<img").count(), text.matches("](pictures/").count(), "{}", topic.name);
        }
    }
}
