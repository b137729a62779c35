// `--lang=ndk`: C++ over the Android NDK's binder headers, with the classes, names, files and semantics that AOSP's compiler
// gives, so that services written for Android compile unchanged.
#include <fmt/format.h>

#include <map>
#include <set>

#include "rpc/aidl/backend.h"
#include "rpc/aidl/cpp/includes.h"
#include "rpc/aidl/cpp/names.h"
#include "rpc/aidl/cpp/writer.h"
#include "rpc/aidl/ndk/ndk_data_writer.h"
#include "rpc/aidl/ndk/ndk_interface_writer.h"
#include "rpc/aidl/ndk/ndk_types.h"

namespace adyton::aidl {
namespace {

bool contains(const Declaration& declaration, Declaration::Kind kind) {
  if (declaration.kind == kind) return true;
  for (const auto& nested : declaration.nested) {
    if (contains(*nested, kind)) return true;
  }
  return false;
}

// "aidl/com/example/BnFoo.h"
std::string header_path(const Declaration& declaration, std::string_view prefix, std::string_view name) {
  const std::string stem = file_stem(declaration);
  const size_t slash = stem.rfind('/');
  return fmt::format("aidl/{}{}{}.h", slash == std::string::npos ? "" : stem.substr(0, slash + 1), prefix, name);
}

class NdkFile {
 public:
  NdkFile(const Declaration& declaration, const BackendOptions& options)
      : declaration_(declaration),
        options_(options),
        names_(declaration.package()),
        space_(ndk_namespace(declaration.package())),
        data_(names_, code_, source_),
        interfaces_(names_, options) {}

  std::vector<OutputFile> write() {
    collect();
    write_declaration(declaration_);
    write_enum_helpers(declaration_);
    const std::string base = base_name(declaration_.name);
    const auto* interface = declaration_.as_interface();
    return {{header_path(declaration_, "", declaration_.name), true, header()},
            {header_path(declaration_, "Bn", base), true, interface != nullptr ? stub_header(*interface) : no_interface()},
            {header_path(declaration_, "Bp", base), true, interface != nullptr ? proxy_header(*interface) : no_interface()},
            {file_stem(declaration_) + ".cpp", false, source()}};
  }

 private:
  void collect() {
    const auto visit = [&](const auto& self, const Type& type) -> void {
      if (type.declaration != nullptr) {
        deprecated_ = deprecated_ || mentions_deprecated(*type.declaration);
        if (const Declaration& outer = outermost(*type.declaration); &outer != &declaration_)
          used_.emplace(outer.qualified_name(), &outer);
      }
      if (type.kind == TypeKind::kParcelableHolder) holders_ = true;
      for (const Type& argument : type.arguments) self(self, argument);
    };
    for_each_type(declaration_, [&](const Type& type, bool) { visit(visit, type); });
    deprecated_ = deprecated_ || mentions_deprecated(declaration_);
  }

  void write_declaration(const Declaration& declaration) {
    code_.blank();
    if (const auto* enumeration = declaration.as_enum()) return data_.define(*enumeration);
    const auto* interface = declaration.as_interface();
    if (interface != nullptr) {
      interfaces_.open(*interface, code_);
    } else {
      data_.open(declaration);
    }
    write_nested(declaration);
    if (interface != nullptr) {
      data_.constants(interface->constants, declaration);
      interfaces_.members(*interface, code_);
    } else if (const auto* parcelable = declaration.as_parcelable()) {
      data_.constants(parcelable->constants, declaration);
      data_.members(*parcelable);
    } else if (const auto* union_type = declaration.as_union()) {
      data_.constants(union_type->constants, declaration);
      data_.members(*union_type);
    }
    code_.outdent();
    code_.text("};");
    if (interface == nullptr) return;
    interfaces_.default_class(*interface, code_);
    // What is nested has no files of its own.
    if (declaration.parent != nullptr) {
      interfaces_.proxy_class(*interface, code_);
      interfaces_.stub_class(*interface, code_);
      interfaces_.delegator_class(*interface, code_);
    }
    source_.blank();
    interfaces_.define(*interface, source_);
  }

  void write_nested(const Declaration& declaration) {
    for (const auto& nested : declaration.nested) {
      if (nested->kind == Declaration::Kind::kEnum || !nested->type_parameters.empty()) continue;
      code_.line("class {};", escape(nested->name));
      if (nested->kind == Declaration::Kind::kInterface) code_.line("class {}Delegator;", escape(nested->name));
    }
    for (const Declaration* nested : in_order_of_definition(declaration)) write_declaration(*nested);
    if (!declaration.nested.empty()) code_.blank();
  }

  void write_enum_helpers(const Declaration& declaration) {
    const std::string name = name_in_namespace(declaration);
    if (const auto* enumeration = declaration.as_enum()) {
      data_.define_to_string(*enumeration, name);
      values_.emplace_back(enumeration, names_.declared(declaration));
    } else if (const auto* union_type = declaration.as_union()) {
      data_.define_to_string(*union_type->tag, name + "::Tag");
      values_.emplace_back(union_type->tag.get(), names_.declared(declaration) + "::Tag");
    }
    for (const auto& nested : declaration.nested) write_enum_helpers(*nested);
  }

  [[nodiscard]] std::string head() const {
    std::string out = fmt::format("// Generated by aidlc from {}.aidl: change that, not this.\n", file_stem(declaration_));
    if (!options_.omit_invocation && !options_.invocation.empty()) {
      std::string invocation = options_.invocation;
      for (char& c : invocation) c = static_cast<unsigned char>(c) < 0x20 || c == '\\' ? ' ' : c;
      out += "// " + invocation + "\n";
    }
    return out;
  }

  void in_namespace(Writer& out, const std::string& text) const {
    out.blank();
    out.line("namespace {} {{", space_);
    out.blank();
    out.text(text.substr(std::min(text.find_first_not_of('\n'), text.size())));
    out.blank();
    out.line("}}  // namespace {}", space_);
  }

  void quiet(Writer& out, bool push) const {
    if (!deprecated_) return;
    out.blank();
    if (push) out.text("#pragma GCC diagnostic push");
    out.text("#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"");
  }
  void loud(Writer& out) const {
    if (!deprecated_) return;
    out.blank();
    out.text("#pragma GCC diagnostic pop");
  }

  std::string header() const {
    Writer out;
    out.text(head() + "#pragma once");
    out.text("#include <android/binder_interface_utils.h>\n#include <android/binder_parcel_utils.h>");
    if (!values_.empty()) out.text("#include <android/binder_enums.h>");
    if (holders_ || declaration_.as_enum() == nullptr) out.text("#include <android/binder_parcelable_utils.h>");
    if (!declaration_.type_parameters.empty()) out.text("#include <android/binder_to_string.h>");
    out.blank();
    out.text("#include <array>\n#include <cstdint>");
    if (contains(declaration_, Declaration::Kind::kUnion)) out.text("#include <initializer_list>");
    if (contains(declaration_, Declaration::Kind::kInterface)) out.text("#include <limits>\n#include <memory>\n#include <mutex>");
    if (!contains(declaration_, Declaration::Kind::kInterface)) out.text("#include <limits>\n#include <memory>");
    out.text("#include <optional>\n#include <string>\n#include <tuple>\n#include <type_traits>\n#include <utility>");
    if (contains(declaration_, Declaration::Kind::kUnion)) out.text("#include <variant>");
    out.text("#include <vector>");
    out.blank();
    std::map<std::string, std::vector<std::string>> forward;
    for (const auto& [name, used] : used_) {
      if (const auto* unstructured = used->as_unstructured()) {
        out.line("#include <{}>", unstructured->ndk_header);
        continue;
      }
      out.line("#include <{}>", header_path(*used, "", used->name));
      if (!used->type_parameters.empty()) continue;
      const auto* enumeration = used->as_enum();
      forward[ndk_namespace(used->package())].push_back(
          enumeration != nullptr ? fmt::format("enum class {} : {};", escape(used->name), ndk_backing(enumeration->backing))
                                 : fmt::format("class {};", escape(used->name)));
    }
    quiet(out, true);
    // Headers may include each other in a ring.
    for (const auto& [space, types] : forward) {
      out.blank();
      out.line("namespace {} {{", space);
      for (const std::string& type : types) out.text(type);
      out.line("}}  // namespace {}", space);
    }
    const bool interface = declaration_.as_interface() != nullptr;
    in_namespace(out, (interface ? "class " + escape(declaration_.name) + "Delegator;\n\n" : "") + code_.str());
    if (!values_.empty()) {
      Writer values;
      for (const auto& [enumeration, name] : values_) NdkDataWriter(names_, values, values).define_values(*enumeration, name);
      out.blank();
      out.text(values.str());
    }
    loud(out);
    return out.str();
  }

  std::string beside(const std::string& code, const std::string& includes) const {
    Writer out;
    out.text(head() + "#pragma once");
    out.text(includes);
    quiet(out, true);
    in_namespace(out, code);
    loud(out);
    return out.str();
  }

  std::string stub_header(const InterfaceDeclaration& interface) const {
    Writer code;
    interfaces_.stub_class(interface, code);
    interfaces_.delegator_class(interface, code);
    return beside(code.str(), fmt::format("#include <android/binder_ibinder.h>\n\n#include <memory>\n\n#include \"{}\"",
                                          header_path(declaration_, "", declaration_.name)));
  }

  std::string proxy_header(const InterfaceDeclaration& interface) const {
    Writer code;
    interfaces_.proxy_class(interface, code);
    return beside(code.str(), fmt::format("#include <android/binder_ibinder.h>\n\n#include <mutex>\n\n#include \"{}\"",
                                          header_path(declaration_, "", declaration_.name)));
  }

  [[nodiscard]] std::string no_interface() const {
    return head() + fmt::format("#error \"{} is no interface\"\n", declaration_.qualified_name());
  }

  std::string source() const {
    Writer out;
    out.text(head() + fmt::format("#include \"{}\"", header_path(declaration_, "", declaration_.name)));
    out.blank();
    out.text("#include <android/binder_to_string.h>");
    out.blank();
    if (declaration_.as_interface() != nullptr) {
      const std::string base = base_name(declaration_.name);
      out.line("#include \"{}\"", header_path(declaration_, "Bn", base));
      out.line("#include \"{}\"", header_path(declaration_, "Bp", base));
    }
    if (source_.str().empty()) return out.str();
    quiet(out, false);
    in_namespace(out, source_.str());
    return out.str();
  }

  const Declaration& declaration_;
  const BackendOptions& options_;
  NdkNames names_;
  const std::string space_;
  Writer code_;    // of the main header, inside of the namespace
  Writer source_;  // of the .cpp file, inside of the namespace
  NdkDataWriter data_;
  NdkInterfaceWriter interfaces_;
  std::map<std::string, const Declaration*> used_;
  std::vector<std::pair<const EnumDeclaration*, std::string>> values_;
  bool deprecated_ = false;
  bool holders_ = false;
};

class NdkBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view language() const override { return "ndk"; }

  Result<std::vector<OutputFile>> generate(const Document& document, const BackendOptions& options) const override {
    std::vector<OutputFile> out;
    for (const auto& declaration : document.declarations) {
      if (const auto* unstructured = declaration->as_unstructured()) {
        // Written elsewhere; the files are there all the same, because build systems count on them.
        const std::string head =
            fmt::format("// Generated by aidlc from {}.aidl: change that, not this.\n", file_stem(*declaration));
        const std::string error = head + fmt::format("#error \"{} is no interface\"\n", declaration->qualified_name());
        const std::string base = base_name(declaration->name);
        const std::string include =
            unstructured->ndk_header.empty() ? "" : fmt::format("#include <{}>\n", unstructured->ndk_header);
        out.push_back({header_path(*declaration, "", declaration->name), true, head + "#pragma once\n" + include});
        out.push_back({header_path(*declaration, "Bn", base), true, error});
        out.push_back({header_path(*declaration, "Bp", base), true, error});
        out.push_back({file_stem(*declaration) + ".cpp", false, head});
        continue;
      }
      for (OutputFile& file : NdkFile(*declaration, options).write()) out.push_back(std::move(file));
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Backend> make_ndk_backend() { return std::make_unique<NdkBackend>(); }

}  // namespace adyton::aidl
