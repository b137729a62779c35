#include "rpc/aidl/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

// Longer names are no names of files either.
constexpr size_t kMaxName = 1024;
constexpr size_t kMaxNameParts = 48;

std::string normal(const std::string& path) { return std::filesystem::path(path).lexically_normal().string(); }

std::string path_of(std::string name) {
  std::replace(name.begin(), name.end(), '.', '/');
  return name + ".aidl";
}

}  // namespace

Loader::Loader(Program& program, Diagnostics& diagnostics, const FileReader& reader, const ProgramOptions& options)
    : program_(program), diagnostics_(diagnostics), reader_(reader), roots_(options.include_dirs) {}

void Loader::load_inputs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) load(path, true);
  // A file of package com.example at x/com/example/IFoo.aidl says where its neighbours are, whether or not an -I does.
  for (const auto& document : program_.documents_) {
    const std::string folder = document->package.empty() ? std::string() : document->package;
    std::string expected = folder;
    std::replace(expected.begin(), expected.end(), '.', '/');
    const std::string parent = std::filesystem::path(normal(document->path())).parent_path().string();
    std::string root;
    if (expected.empty()) {
      root = parent.empty() ? "." : parent;
    } else if (parent == expected) {
      root = ".";
    } else if (parent.ends_with("/" + expected)) {
      root = parent.substr(0, parent.size() - expected.size() - 1);
      if (root.empty()) root = "/";
    } else {
      continue;
    }
    if (std::find(roots_.begin(), roots_.end(), root) == roots_.end()) roots_.push_back(root);
  }
}

Document* Loader::load(const std::string& path, bool is_input) {
  const std::string key = normal(path);
  if (const auto known = by_path_.find(key); known != by_path_.end()) return known->second;
  auto text = reader_.read(path);
  if (!text) {
    diagnostics_.error({}, fmt::format("cannot read {}: {}", path, text.error().message));
    by_path_.emplace(key, nullptr);
    return nullptr;
  }
  program_.files_.push_back(std::make_unique<SourceFile>(path, std::move(*text)));
  const SourceFile& file = *program_.files_.back();
  const size_t errors_before = diagnostics_.errors();
  program_.documents_.push_back(Parser::parse(file, diagnostics_));
  Document& document = *program_.documents_.back();
  document.is_input = is_input;
  by_path_.emplace(key, &document);
  if (document.declarations.empty() && diagnostics_.errors() == errors_before) diagnostics_.error({&file, 0, 1}, "the file declares nothing");
  check_path(document);
  declare(document);
  return &document;
}

void Loader::check_path(const Document& document) {
  const auto& declarations = document.declarations;
  const auto other_than_unstructured =
      std::find_if(declarations.begin(), declarations.end(), [](const auto& declaration) { return declaration->as_unstructured() == nullptr; });
  if (other_than_unstructured == declarations.end()) return;  // those may share a file, and stand where they like
  if (declarations.size() > 1) {
    const Declaration& second = *declarations[1];
    diagnostics_.error(second.location, fmt::format("a file declares one type: {} belongs in a file of its own", quote(second.name)));
    diagnostics_.note(declarations[0]->location, fmt::format("{} is the first", quote(declarations[0]->name)));
    return;
  }
  const Declaration& only = **other_than_unstructured;
  const std::string expected = path_of(document.package.empty() ? only.name : document.package + "." + only.name);
  const auto agrees = [&](const std::string& path) { return path == expected || path.ends_with("/" + expected); };
  if (agrees(normal(document.path())) || agrees(normal(reader_.absolute(document.path())))) return;
  diagnostics_.error(only.location, document.package.empty() || document.path().ends_with("/" + only.name + ".aidl")
                                        ? fmt::format("{} must stand in a file {}", quote(only.qualified_name()), quote(expected))
                                        : fmt::format("{} of package {} must stand in a file {}", quote(only.name), quote(document.package), quote(expected)));
}

void Loader::declare(Document& document) {
  for (const auto& declaration : document.declarations) declare(*declaration);
}

void Loader::declare(Declaration& declaration) {
  const std::string name = declaration.qualified_name();
  const auto [place, inserted] = program_.declarations_.emplace(name, &declaration);
  if (!inserted) {
    diagnostics_.error(declaration.location, fmt::format("{} is declared twice", quote(name)));
    diagnostics_.note(place->second->location, "it is declared here first");
  }
  if (declaration.kind == Declaration::Kind::kUnion) {
    auto& owner = static_cast<UnionDeclaration&>(declaration);
    owner.tag = std::make_unique<EnumDeclaration>();
    owner.tag->name = "Tag";
    owner.tag->document = owner.document;
    owner.tag->parent = &owner;
    owner.tag->location = owner.location;
    owner.tag->backing = owner.annotations.has("FixedSize") ? TypeKind::kByte : TypeKind::kInt;
    for (size_t i = 0; i < owner.fields.size(); ++i) {
      Enumerator enumerator;
      enumerator.name = owner.fields[i].name;
      enumerator.value = static_cast<int64_t>(i);
      enumerator.location = owner.fields[i].location;
      owner.tag->enumerators.push_back(std::move(enumerator));
    }
    program_.declarations_.emplace(name + ".Tag", owner.tag.get());
  }
  for (const auto& nested : declaration.nested) declare(*nested);
}

Declaration* Loader::find_declared(const std::string& qualified_name) {
  const auto found = program_.declarations_.find(qualified_name);
  return found == program_.declarations_.end() ? nullptr : found->second;
}

Declaration* Loader::find(const Document& user, const std::string& qualified_name) {
  if (qualified_name.size() > kMaxName) return nullptr;
  Declaration* found = find_declared(qualified_name);
  if (found == nullptr && !not_found_.contains(qualified_name)) {
    // a.b.C.D may be D in a/b/C.aidl.
    std::string name = qualified_name;
    for (size_t parts = 0; parts < kMaxNameParts && found == nullptr; ++parts) {
      for (const std::string& root : roots_) {
        const std::string path = root == "." ? path_of(name) : (std::filesystem::path(root) / path_of(name)).string();
        if (by_path_.contains(normal(path)) || !reader_.exists(path)) continue;
        load(path, false);
        found = find_declared(qualified_name);
        if (found != nullptr) break;
      }
      const size_t dot = name.rfind('.');
      if (dot == std::string::npos) break;
      name.resize(dot);
    }
    if (found == nullptr) not_found_.insert(qualified_name);
  }
  if (found != nullptr && found->document != &user) {
    auto& uses = program_.uses_[&user];
    if (std::find(uses.begin(), uses.end(), found->document) == uses.end()) uses.push_back(found->document);
  }
  return found;
}

}  // namespace adyton::aidl
