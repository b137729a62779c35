#include "rpc/aidl/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "rpc/aidl/api_mapping.h"
#include "rpc/aidl/dump.h"
#include "rpc/aidl/interface_map.h"
#include "rpc/aidl/output.h"

namespace adyton::aidl {
namespace {

std::vector<const Document*> inputs_of(const Program& program) {
  std::vector<const Document*> out;
  for (const auto& document : program.documents()) {
    if (document->is_input) out.push_back(document.get());
  }
  return out;
}

std::string join_path(const std::string& folder, const std::string& path) { return (std::filesystem::path(folder) / path).string(); }

Result<void> write_dependencies(const GenerateOptions& options, const Program& program, const Document& document, const std::vector<std::string>& outputs) {
  std::vector<std::string> inputs = program.dependencies(document);
  inputs.insert(inputs.begin(), document.path());
  const std::string rules = dependency_rules(outputs, inputs, options.ninja);
  if (options.dependency_file) return write_file(*options.dependency_file, rules);
  if (!options.dependency_files || document.declarations.empty()) return {};
  std::filesystem::path path = join_path(options.output_dir, dump_path(*document.declarations.front()));
  return write_file(path.replace_extension(".d").string(), rules);
}

Result<bool> generate(const GenerateOptions& options, const std::vector<std::unique_ptr<Backend>>& backends, std::string& text) {
  Diagnostics diagnostics(options.warnings);
  Program program(diagnostics);
  const bool loaded = program.load(options.inputs, DiskReader(), options.program);
  text = diagnostics.to_string();
  if (!loaded) return false;
  if (options.method_map) TRY(write_file(*options.method_map, method_map(inputs_of(program), options.backend)));
  if (options.api_mapping) TRY(write_file(*options.api_mapping, api_mapping(inputs_of(program))));
  if (options.interface_map) {
    std::vector<const Document*> all;
    for (const auto& document : program.documents()) all.push_back(document.get());
    TRY(write_file(*options.interface_map, interface_map(all, options.backend)));
  }
  if (options.program.language == Language::kNone) return true;
  const std::string_view language = options.program.language == Language::kCpp ? "cpp" : "ndk";
  const auto backend = std::find_if(backends.begin(), backends.end(), [&](const auto& known) { return known->language() == language; });
  if (backend == backends.end()) return fail(ErrorCode::kUnsupported, fmt::format("this aidlc was built without --lang={}", language));
  // Everything is generated before anything is written: no half of an interface is left behind.
  struct Generated {
    const Document* document;
    std::vector<OutputFile> files;
  };
  std::vector<Generated> all;
  for (const Document* document : inputs_of(program)) all.push_back({document, TRY((*backend)->generate(*document, options.backend))});
  for (Generated& generated : all) {
    std::vector<std::string> outputs;
    std::stable_partition(generated.files.begin(), generated.files.end(), [](const OutputFile& file) { return file.header; });
    for (const OutputFile& file : generated.files) {
      outputs.push_back(join_path(file.header ? options.header_dir : options.output_dir, file.path));
      TRY(write_file(outputs.back(), file.text));
    }
    TRY(write_dependencies(options, program, *generated.document, outputs));
  }
  return true;
}

Result<bool> dump(const DumpOptions& options, std::string& text) {
  Diagnostics diagnostics(options.warnings);
  Program program(diagnostics);
  const bool loaded = program.load(options.inputs, DiskReader(), options.program);
  text = diagnostics.to_string();
  if (!loaded) return false;
  for (const Document* document : inputs_of(program)) {
    for (const auto& declaration : document->declarations) {
      TRY(write_file(join_path(options.output_dir, dump_path(*declaration)), dump_file(*declaration)));
    }
  }
  return true;
}

Result<std::vector<std::string>> list_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().extension() == ".aidl") files.push_back(at->path().string());
  }
  if (error) return fail(ErrorCode::kNotFound, fmt::format("cannot read {}: {}", folder, error.message()));
  if (files.empty()) return fail(ErrorCode::kNotFound, fmt::format("there is no .aidl file in {}", folder));
  std::sort(files.begin(), files.end());
  return files;
}

Result<bool> check(const CheckOptions& options, std::string& text) {
  Diagnostics diagnostics(options.warnings);
  Program older(diagnostics);
  Program newer(diagnostics);
  const auto load = [&](Program& program, const std::string& folder) -> Result<bool> {
    ProgramOptions with_folder = options.program;
    with_folder.include_dirs.insert(with_folder.include_dirs.begin(), folder);
    return program.load(TRY(list_files(folder)), DiskReader(), with_folder);
  };
  const bool loaded = TRY(load(older, options.old_dir)) && TRY(load(newer, options.new_dir));
  const bool compatible = loaded && check_compatible(older, newer, options.level, diagnostics);
  text = diagnostics.to_string();
  return compatible;
}

}  // namespace

Result<bool> run(const Command& command, const std::vector<std::unique_ptr<Backend>>& backends, std::string& diagnostics) {
  if (const auto* options = std::get_if<GenerateOptions>(&command)) return generate(*options, backends, diagnostics);
  if (const auto* options = std::get_if<DumpOptions>(&command)) return dump(*options, diagnostics);
  if (const auto* options = std::get_if<CheckOptions>(&command)) return check(*options, diagnostics);
  return true;
}

}  // namespace adyton::aidl
