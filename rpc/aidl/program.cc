#include "rpc/aidl/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <unordered_set>

#include "rpc/aidl/annotations.h"
#include "rpc/aidl/checker.h"
#include "rpc/aidl/evaluator.h"
#include "rpc/aidl/language_check.h"
#include "rpc/aidl/lexer.h"
#include "rpc/aidl/loader.h"
#include "rpc/aidl/resolver.h"

namespace adyton::aidl {

bool DiskReader::exists(const std::string& path) const {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

Result<std::string> DiskReader::read(const std::string& path) const {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return fail(ErrorCode::kNotFound, "there is no such file");
  if (error) return fail(ErrorCode::kInvalidArgument, error.message());
  if (std::filesystem::is_directory(status)) return fail(ErrorCode::kInvalidArgument, "it is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kPermission, "it cannot be opened");
  // Never more than the lexer refuses, whatever /dev/zero has to offer.
  constexpr size_t kStep = size_t{64} << 10;
  std::string text;
  while (file && text.size() <= kMaxFileSize) {
    const size_t size = text.size();
    text.resize(size + kStep);
    file.read(text.data() + size, static_cast<std::streamsize>(kStep));
    text.resize(size + static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) return fail(ErrorCode::kInvalidArgument, "it cannot be read");
  return text;
}

std::string DiskReader::absolute(const std::string& path) const {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

Result<std::string> MemoryReader::read(const std::string& path) const {
  const auto found = files_.find(path);
  if (found == files_.end()) return fail(ErrorCode::kNotFound, "there is no such file");
  return found->second;
}

Program::Program(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

Program::~Program() = default;

bool Program::load(const std::vector<std::string>& inputs, const FileReader& reader, const ProgramOptions& options) {
  const size_t errors_before = diagnostics_.errors();
  Loader loader(*this, diagnostics_, reader, options);
  loader.load_inputs(inputs);
  Resolver resolver(loader, diagnostics_);
  // Grows while it is walked: what is imported is resolved too.
  for (size_t i = 0; i < documents_.size(); ++i) resolver.resolve(*documents_[i]);
  Evaluator evaluator(diagnostics_);
  AnnotationChecker annotations(diagnostics_, evaluator);
  for (const auto& document : documents_) annotations.check(*document);
  for (const auto& document : documents_) evaluator.evaluate(*document);
  Checker checker(diagnostics_, options);
  for (const auto& document : documents_) {
    checker.check(*document);
    if (document->is_input && options.language != Language::kNone) check_language(*document, options.language, diagnostics_);
  }
  return diagnostics_.errors() == errors_before;
}

std::vector<std::string> Program::dependencies(const Document& document) const {
  std::vector<const Document*> left{&document};
  std::unordered_set<const Document*> seen{&document};
  std::vector<std::string> paths;
  while (!left.empty()) {
    const Document* at = left.back();
    left.pop_back();
    if (at != &document) paths.push_back(at->path());
    const auto uses = uses_.find(at);
    if (uses == uses_.end()) continue;
    for (const Document* used : uses->second) {
      if (seen.insert(used).second) left.push_back(used);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Declaration* Program::find(const std::string& qualified_name) const {
  const auto found = declarations_.find(qualified_name);
  return found == declarations_.end() ? nullptr : found->second;
}

}  // namespace adyton::aidl
