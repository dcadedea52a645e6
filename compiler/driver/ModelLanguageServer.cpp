#include "compiler/driver/ModelLanguageServer.h"
#include "compiler/frontend/Format.h"
#include "compiler/frontend/Sema.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/LSP/Protocol.h"
#include "llvm/Support/LSP/Transport.h"

namespace oriel::driver {
namespace {

namespace lsp = llvm::lsp;
using llvm::json::Object;
using llvm::json::Value;

/// Lines from 0; characters from 0 in UTF-16 units, as the protocol counts them.
lsp::Position positionAt(const frontend::SourceFile &file, size_t offset) {
  frontend::LineColumn place = file.lineColumn(offset);
  std::string_view before = file.line(place.line).substr(0, place.column - 1);
  llvm::SmallVector<llvm::UTF16, 128> units;
  bool valid = llvm::convertUTF8ToUTF16String(llvm::StringRef(before.data(), before.size()), units);
  return lsp::Position(static_cast<int>(place.line) - 1, static_cast<int>(valid ? units.size() : before.size()));
}

lsp::Range rangeOf(const frontend::SourceFile &file, frontend::SourceRange range) {
  return {positionAt(file, range.begin), positionAt(file, range.end)};
}

lsp::Diagnostic toProtocol(const frontend::SourceFile &file, const lsp::URIForFile &uri,
                           const frontend::Diagnostic &from) {
  lsp::Diagnostic to;
  to.source = "orielc";
  to.severity =
      from.severity == frontend::Severity::Error ? lsp::DiagnosticSeverity::Error : lsp::DiagnosticSeverity::Warning;
  if (from.range)
    to.range = rangeOf(file, *from.range);
  to.message = from.hint.empty() ? from.message : from.message + "\nhint: " + from.hint;
  if (!from.notes.empty())
    to.relatedInformation.emplace();
  for (const frontend::Note &note : from.notes)
    to.relatedInformation->emplace_back(lsp::Location(uri, rangeOf(file, note.range)), note.message);
  return to;
}

/// The request that Protocol.h does not know: { textDocument: { uri } }.
struct FormattingParams {
  lsp::TextDocumentIdentifier textDocument;
};
bool fromJSON(const Value &value, FormattingParams &params, llvm::json::Path path) {
  llvm::json::ObjectMapper mapper(value, path);
  return mapper && mapper.map("textDocument", params.textDocument);
}

class Server {
public:
  Server(std::FILE *in, llvm::raw_ostream &out) : transport_(in, out), handler_(transport_) {
    publish_ = handler_.outgoingNotification<lsp::PublishDiagnosticsParams>("textDocument/publishDiagnostics");
    handler_.method("initialize", this, &Server::initialize);
    handler_.notification("initialized", this, &Server::ignore);
    handler_.method("shutdown", this, &Server::shutdown);
    handler_.notification("textDocument/didOpen", this, &Server::open);
    handler_.notification("textDocument/didChange", this, &Server::change);
    handler_.notification("textDocument/didClose", this, &Server::close);
    handler_.method("textDocument/formatting", this, &Server::format);
  }

  int run() {
    llvm::Error error = transport_.run(handler_);
    bool clean = !error;
    llvm::consumeError(std::move(error));
    return clean && shutDown_ ? 0 : 1;
  }

private:
  void initialize(const lsp::InitializeParams &, lsp::Callback<Value> reply) {
    constexpr int wholeDocuments = 1;
    reply(Object{{"capabilities", Object{{"textDocumentSync", Object{{"openClose", true}, {"change", wholeDocuments}}},
                                         {"documentFormattingProvider", true}}},
                 {"serverInfo", Object{{"name", "orielc lsp"}, {"version", ORIEL_VERSION}}}});
  }
  void ignore(const lsp::InitializedParams &) {}
  void shutdown(const lsp::NoParams &, lsp::Callback<std::nullptr_t> reply) {
    shutDown_ = true;
    reply(nullptr);
  }

  void open(const lsp::DidOpenTextDocumentParams &params) {
    check(params.textDocument.uri, params.textDocument.text, params.textDocument.version);
  }
  void change(const lsp::DidChangeTextDocumentParams &params) {
    if (!params.contentChanges.empty())
      check(params.textDocument.uri, params.contentChanges.back().text, params.textDocument.version);
  }
  void close(const lsp::DidCloseTextDocumentParams &params) {
    texts_.erase(params.textDocument.uri.file());
    publish_(lsp::PublishDiagnosticsParams(params.textDocument.uri, 0));
  }

  void check(const lsp::URIForFile &uri, const std::string &text, int64_t version) {
    texts_[uri.file()] = text;
    frontend::SourceFile file(std::string_view(uri.file()), text);
    frontend::Diagnostics diagnostics(file);
    frontend::loadModel(file, {}, diagnostics);
    lsp::PublishDiagnosticsParams message(uri, version);
    for (const frontend::Diagnostic &diagnostic : diagnostics.all())
      message.diagnostics.push_back(toProtocol(file, uri, diagnostic));
    publish_(message);
  }

  /// One edit that replaces everything; none where the text does not parse (its errors were published).
  void format(const FormattingParams &params, lsp::Callback<std::vector<lsp::TextEdit>> reply) {
    auto found = texts_.find(params.textDocument.uri.file());
    if (found == texts_.end())
      return reply(llvm::make_error<lsp::LSPError>("the file is not open", lsp::ErrorCode::InvalidParams));
    std::string problems;
    std::optional<std::string> formatted = frontend::format(std::string(found->first()), found->second, problems);
    if (!formatted || *formatted == found->second)
      return reply(std::vector<lsp::TextEdit>());
    frontend::SourceFile file(std::string(found->first()), found->second);
    reply(std::vector<lsp::TextEdit>{{rangeOf(file, {0, found->second.size()}), *formatted}});
  }

  lsp::JSONTransport transport_;
  lsp::MessageHandler handler_;
  lsp::OutgoingNotification<lsp::PublishDiagnosticsParams> publish_;
  llvm::StringMap<std::string> texts_; // of open documents, by path
  bool shutDown_ = false;
};

} // namespace

int serveModelLanguage(std::FILE *in, llvm::raw_ostream &out) { return Server(in, out).run(); }

} // namespace oriel::driver
