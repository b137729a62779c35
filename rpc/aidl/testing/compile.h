// For tests: a program from texts, or from the files of a folder.
#pragma once
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/aidl/program.h"

namespace adyton::aidl::testing {

struct Compiled {
  std::unique_ptr<Diagnostics> diagnostics;
  std::unique_ptr<Program> program;
  bool ok = false;

  // What is wrong, for a failed expectation to show.
  [[nodiscard]] std::string said() const { return diagnostics->to_string(); }
  template <typename T = Declaration>
  [[nodiscard]] const T& get(const std::string& name) const {
    return static_cast<const T&>(*program->find(name));
  }
};

// Every file is an input.
inline Compiled compile(std::map<std::string, std::string> files, const ProgramOptions& options = {}, const WarningPolicy& policy = {}) {
  Compiled out;
  out.diagnostics = std::make_unique<Diagnostics>(policy);
  out.program = std::make_unique<Program>(*out.diagnostics);
  std::vector<std::string> inputs;
  for (const auto& [path, text] : files) inputs.push_back(path);
  out.ok = out.program->load(inputs, MemoryReader(std::move(files)), options);
  return out;
}

// The .aidl files under `folder`, by their paths in it.
inline std::map<std::string, std::string> read_folder(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".aidl") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[std::filesystem::relative(entry.path(), folder).string()] = std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

}  // namespace adyton::aidl::testing
