//! Shows an Adaptive Card as a web page, about as Teams shows it.

use serde_json::Value;

/// The styles of the page.
const STYLE: &str = include_str!("../../../templates/card.css");
/// The properties whose value becomes a class.
const STYLED: [&str; 5] = ["style", "spacing", "size", "weight", "color"];

/// A page that shows the card of a message.
pub fn page(message: &Value) -> String {
    let card = &message["attachments"][0]["content"];
    let title = escape(message["summary"].as_str().unwrap_or_default());
    let (body, actions) = (elements(&card["body"]), elements(&card["actions"]));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}<div class=\"actions\">\n{actions}</div>\n</main>\n\
         </body>\n</html>\n"
    )
}

fn elements(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(element).collect()
}

fn element(element: &Value) -> String {
    let text = |name: &str| escape(element[name].as_str().unwrap_or_default());
    let classes = classes(element);
    match element["type"].as_str().unwrap_or_default() {
        "RichTextBlock" => format!("<p class=\"text{classes}\">{}</p>\n", elements(&element["inlines"])),
        "TextRun" => format!("<span class=\"run{classes}\">{}</span>", text("text")),
        "Container" => format!("<div class=\"box{classes}\">\n{}</div>\n", elements(&element["items"])),
        "ColumnSet" => {
            let columns = elements(&element["columns"]);
            match element["selectAction"]["url"].as_str() {
                Some(url) => format!("<a class=\"row\" href=\"{}\">\n{columns}</a>\n", escape(url)),
                None => format!("<div class=\"row\">\n{columns}</div>\n"),
            }
        }
        "Column" => format!("<div>\n{}</div>\n", elements(&element["items"])),
        "FactSet" => {
            let fact = |fact: &Value| {
                let [title, value] = ["title", "value"].map(|name| escape(fact[name].as_str().unwrap_or_default()));
                format!("<tr><th scope=\"row\">{title}</th><td>{value}</td></tr>\n")
            };
            let facts: String = element["facts"].as_array().into_iter().flatten().map(fact).collect();
            format!("<table>\n{facts}</table>\n")
        }
        "Image" => format!("<img src=\"{}\" alt=\"{}\">\n", text("url"), text("altText")),
        "Action.OpenUrl" => format!("<a href=\"{}\">{}</a>\n", text("url"), text("title")),
        unknown => format!("<p>(an element of the type {})</p>\n", escape(unknown)),
    }
}

fn classes(element: &Value) -> String {
    let of_value = |name: &&str| Some(format!(" {name}-{}", escape(element[*name].as_str()?).to_ascii_lowercase()));
    let mut classes: String = STYLED.iter().filter_map(of_value).collect();
    for (property, class) in [("separator", " separator"), ("isSubtle", " subtle")] {
        if element[property] == true {
            classes += class;
        }
    }
    classes
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outside_text_cannot_add_markup() {
        let hostile = "\"><script>alert(1)</script>&";
        let row = json!({
            "type": "ColumnSet",
            "columns": [{"type": "Column", "items": [{"type": "Image", "url": hostile, "altText": hostile}]}],
            "selectAction": {"type": "Action.OpenUrl", "title": hostile, "url": hostile},
        });
        let text =
            json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": hostile, "weight": hostile}]});
        let facts = json!({"type": "FactSet", "facts": [{"title": hostile, "value": hostile}]});
        let body = json!([row, text, facts, {"type": hostile}]);
        let page = page(&json!({"summary": hostile, "attachments": [{"content": {"body": body}}]}));
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;").count(), 9, "{page}");
    }

    #[test]
    fn elements_are_shown_with_their_properties() {
        let text = json!({
            "type": "RichTextBlock",
            "separator": true,
            "inlines": [{"type": "TextRun", "text": "Expired", "size": "Medium", "color": "Warning", "isSubtle": true}],
        });
        assert_eq!(
            element(&text),
            "<p class=\"text separator\"><span class=\"run size-medium color-warning subtle\">Expired</span></p>\n"
        );
    }
}
