#include "rpc/aidl/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

namespace adyton::aidl {
namespace {

const char* const kDescription = "Compiles AIDL: typed interfaces for calls over RpcBinder.";

const std::string kUsage =
    "  aidlc --lang=cpp|ndk [OPTIONS] -o DIR FILE...\n"
    "  aidlc --dumpapi [OPTIONS] -o DIR FILE...\n"
    "  aidlc --checkapi[=compatible|equal] [OPTIONS] OLD_DIR NEW_DIR";

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

// What the options mean before they are sorted into a command.
struct Raw {
  std::string language;
  bool dump = false;
  std::string check;
  std::vector<std::string> include_dirs;
  std::string output_dir;
  std::string header_dir;
  std::string dependency_file;
  bool dependency_files = false;
  bool ninja = false;
  std::string method_map;
  std::string interface_map;
  std::string api_mapping;
  std::string preprocessed;
  bool no_unstructured = false;
  bool ignored = false;
  std::string version;
  std::string hash;
  bool structured = false;
  std::string stability;
  bool omit_invocation = false;
  std::string min_sdk_version;
  std::vector<std::string> warnings;
  bool no_warnings = false;
  std::vector<std::string> inputs;
};

void add_options(CLI::App& app, Raw& raw) {
  app.set_help_flag("--help", "Show this help");
  app.footer(kUsage);
  app.add_option("FILES", raw.inputs, "The .aidl files; for --checkapi, the directories of two versions");
  app.add_option("--lang", raw.language, "What to generate: cpp, for Adyton's runtime, or ndk, as payloads for Android expect it")->type_name("cpp|ndk");
  app.add_flag("--dumpapi", raw.dump, "Write the API of each file in canonical form under -o DIR");
  app.add_option("--checkapi", raw.check, "Check that NEW_DIR is compatible with, or equal to, OLD_DIR (its value is only ever behind '=')")->type_name("compatible|equal");
  app.add_option("-I,--include", raw.include_dirs, "Look for imported files under DIR")->type_name("DIR")->allow_extra_args(false);
  app.add_option("-o,--out", raw.output_dir, "Write files under DIR")->type_name("DIR");
  app.add_option("-h,--header_out", raw.header_dir, "Write headers under DIR, if elsewhere")->type_name("DIR");
  app.add_option("-d,--dep", raw.dependency_file, "Write a dependency file, for one input")->type_name("FILE");
  app.add_flag("-a", raw.dependency_files, "Write a dependency file beside the output of each input");
  app.add_flag("--ninja", raw.ninja, "Write dependency files for ninja, not make");
  app.add_option("--methodmap", raw.method_map, "Write the transaction codes of the files' interfaces as JSON")->type_name("FILE");
  app.add_option("--interfacemap", raw.interface_map, "Write interfaces with the types of their arguments as JSON, for the Wireshark plugin")->type_name("FILE");
  app.add_option("--apimapping", raw.api_mapping, "Write where in the files each method stands, as AOSP's aidl does")->type_name("FILE");
  app.add_option("-v,--version", raw.version, "The version of the interfaces, 1 or more")->type_name("N");
  app.add_option("--hash", raw.hash, "The hash of that version, which interfaces tell their callers")->type_name("TEXT");
  app.add_flag("--structured", raw.structured, "Refuse what is not defined in AIDL alone");
  app.add_option("--stability", raw.stability, "Every type must be @VintfStability")->type_name("vintf");
  app.add_flag("--omit_invocation", raw.omit_invocation, "Leave the command line out of generated files");
  app.add_option("--min_sdk_version", raw.min_sdk_version, "Accepted for AOSP's build files; it has no effect")->type_name("N");
  app.add_flag("-b", raw.no_unstructured, "Refuse parcelables that the files only name");
  app.add_flag("-t,--trace,--log,--transaction_names,--no_license", raw.ignored,
               "Accepted for AOSP's build files; they have no effect: the runtime traces calls, codes have names, and there is no licence to leave out");
  app.add_option("-p,--preprocessed,--preprocess", raw.preprocessed, "Refused: name the folder of the files with -I instead")->type_name("FILE");
  app.add_option("-W", raw.warnings, "all, everything, error, NAME, no-NAME, error=NAME: which warnings to give")->type_name("WARNING")->allow_extra_args(false);
  app.add_flag("-w", raw.no_warnings, "Give no warnings");
}

std::string joined(const std::vector<std::string>& arguments) { return fmt::format("{}", fmt::join(arguments, " ")); }

Result<WarningPolicy> make_policy(const Raw& raw) {
  WarningPolicy policy;
  for (const std::string& option : raw.warnings) {
    if (!policy.apply(option)) return bad(fmt::format("there is no warning '-W{}'", option));
  }
  if (raw.no_warnings) policy.disable_all();
  return policy;
}

Result<BackendOptions> make_backend_options(const Raw& raw, const std::vector<std::string>& arguments) {
  BackendOptions backend;
  backend.hash = raw.hash;
  backend.structured = raw.structured;
  backend.vintf = raw.stability == "vintf";
  backend.omit_invocation = raw.omit_invocation;
  if (!raw.omit_invocation) backend.invocation = joined(arguments);
  if (!raw.version.empty()) {
    const bool digits = raw.version.size() <= 9 && std::all_of(raw.version.begin(), raw.version.end(), [](char c) { return c >= '0' && c <= '9'; });
    const unsigned long version = digits ? std::strtoul(raw.version.c_str(), nullptr, 10) : 0;
    if (version == 0) return bad(fmt::format("--version '{}' is not a number of 1 or more", raw.version));
    backend.version = static_cast<uint32_t>(version);
  } else if (!raw.hash.empty()) {
    return bad("--hash needs --version: it is the hash of a version");
  }
  // It becomes a string in generated code.
  if (raw.hash.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.+/=") != std::string::npos) {
    return bad("--hash is made of letters, digits and -_.+/=");
  }
  return backend;
}

Result<Command> make_generate(const Raw& raw, ProgramOptions program, const std::vector<std::string>& arguments) {
  GenerateOptions options;
  options.inputs = raw.inputs;
  options.output_dir = raw.output_dir;
  options.header_dir = raw.header_dir.empty() ? raw.output_dir : raw.header_dir;
  options.dependency_files = raw.dependency_files;
  options.ninja = raw.ninja;
  options.program = std::move(program);
  options.backend = TRY(make_backend_options(raw, arguments));
  options.warnings = TRY(make_policy(raw));
  if (!raw.dependency_file.empty()) options.dependency_file = raw.dependency_file;
  if (!raw.method_map.empty()) options.method_map = raw.method_map;
  if (!raw.interface_map.empty()) options.interface_map = raw.interface_map;
  if (!raw.api_mapping.empty()) options.api_mapping = raw.api_mapping;
  if (raw.language.empty() && raw.method_map.empty() && raw.interface_map.empty() && raw.api_mapping.empty())
    return bad("nothing to do: say --lang=cpp, --lang=ndk, --dumpapi, --checkapi, --methodmap, --interfacemap or --apimapping");
  if (!raw.language.empty() && raw.output_dir.empty()) return bad("say where to write files: -o DIR");
  if (raw.language.empty() && (options.dependency_file || options.dependency_files)) return bad("dependency files are for --lang");
  if (options.dependency_file && raw.inputs.size() > 1) return bad("-d is for one input: use -a for several");
  if (options.dependency_file && options.dependency_files) return bad("-a and -d exclude each other");
  return options;
}

}  // namespace

Result<Command> parse_command_line(const std::vector<std::string>& arguments) {
  CLI::App app(kDescription, "aidlc");
  Raw raw;
  add_options(app, raw);
  // CLI11 takes them from the back. "--checkapi OLD NEW" is AOSP's form: the option's value is only ever behind '='.
  std::vector<std::string> reversed;
  for (size_t i = arguments.size(); i-- > 1;) reversed.push_back(arguments[i] == "--checkapi" ? "--checkapi=compatible" : arguments[i]);
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return PrintText{app.help()};
  } catch (const CLI::Error& error) {
    return bad(error.what());
  }
  if (!raw.preprocessed.empty()) {
    return bad("there are no preprocessed files here, because they do not say what is in a type: name the folder of the .aidl files with -I");
  }
  ProgramOptions program;
  program.include_dirs = raw.include_dirs;
  program.structured = raw.structured;
  program.no_unstructured = raw.no_unstructured;
  program.vintf = raw.stability == "vintf";
  if (!raw.stability.empty() && !program.vintf) return bad(fmt::format("--stability '{}' is not 'vintf'", raw.stability));
  if (raw.language == "cpp" || raw.language == "ndk") {
    program.language = raw.language == "cpp" ? Language::kCpp : Language::kNdk;
  } else if (!raw.language.empty()) {
    return bad(fmt::format("--lang '{}' is not 'cpp' or 'ndk'", raw.language));
  }
  if ((raw.dump ? 1 : 0) + (raw.check.empty() ? 0 : 1) + (raw.language.empty() ? 0 : 1) > 1) {
    return bad("--lang, --dumpapi and --checkapi exclude each other");
  }
  if (raw.inputs.empty()) return bad("no .aidl file is named (see 'aidlc --help')");
  if (raw.dump) {
    if (raw.output_dir.empty()) return bad("say where to write files: -o DIR");
    return DumpOptions{raw.inputs, raw.output_dir, std::move(program), TRY(make_policy(raw))};
  }
  if (!raw.check.empty()) {
    if (raw.check != "compatible" && raw.check != "equal") return bad(fmt::format("--checkapi '{}' is not 'compatible' or 'equal'", raw.check));
    if (raw.inputs.size() != 2) return bad("--checkapi takes two directories: the old version and the new one");
    return CheckOptions{raw.check == "equal" ? CompatibilityLevel::kEqual : CompatibilityLevel::kCompatible, raw.inputs[0], raw.inputs[1],
                        std::move(program), TRY(make_policy(raw))};
  }
  return make_generate(raw, std::move(program), arguments);
}

usage::Program describe_command_line() {
  CLI::App app(kDescription, "aidlc");
  Raw raw;
  add_options(app, raw);
  usage::Program program{.name = "aidlc", .section = 1, .description = kDescription, .forms = {}, .arguments = {}, .options = {}, .notes = {}};
  std::istringstream forms(kUsage);
  for (std::string form; std::getline(forms, form);) program.forms.push_back(form.substr(form.find_first_not_of(' ')));
  for (const CLI::Option* option : app.get_options()) {
    usage::Option described{.names = {}, .value = {}, .description = option->get_description()};
    for (const std::string& name : option->get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) described.names.push_back("--" + name);
    if (described.names.empty()) {
      described.names.push_back(option->get_name());
      program.arguments.push_back(std::move(described));
      continue;
    }
    if (option->get_items_expected_max() > 0) described.value = option->get_type_name();
    program.options.push_back(std::move(described));
  }
  return program;
}

}  // namespace adyton::aidl
