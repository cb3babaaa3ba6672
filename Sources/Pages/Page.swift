/// The frame of all pages: one HTML file that loads no other one and is also well-formed XML.
package enum Page {
  /// Returns a page.
  ///
  /// - Parameters:
  ///   - title: text, which is escaped.
  ///   - style: the content of the style element, to the byte, since a policy can have its digest.
  ///   - head: further elements of the head.
  ///   - body: the elements of the body.
  package static func html(
    title: String, style: String = "\n\(PageStyle.css)\n", head: String = "", body: String
  ) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>\(head)
    <title>\(Markup.escape(title))</title>
    <style>\(style)</style>
    </head>
    <body>
    \(body)
    </body>
    </html>

    """
  }
}
