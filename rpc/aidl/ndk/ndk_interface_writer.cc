#include "rpc/aidl/ndk/ndk_interface_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {
namespace {

constexpr const char* kVersionMethod = "getInterfaceVersion";
constexpr const char* kHashMethod = "getInterfaceHash";

bool is_sized(const Argument& argument) {
  return argument.direction == Argument::Direction::kOut && argument.type.is_dynamic_array();
}

// "IOuter_IInner": part of names of functions and variables.
std::string flat_name(const InterfaceDeclaration& interface) {
  std::string name = interface.name_in_package();
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string class_variable(const InterfaceDeclaration& interface) { return "_g_aidl_" + flat_name(interface) + "_clazz"; }

// "IOuter::" in front of what is nested beside the interface.
std::string surroundings(const InterfaceDeclaration& interface) {
  return interface.parent != nullptr ? name_in_namespace(*interface.parent) + "::" : "";
}

}  // namespace

std::string ndk_companion(const InterfaceDeclaration& interface, std::string_view prefix) {
  return surroundings(interface) + std::string(prefix) + base_name(interface.name);
}

NdkInterfaceWriter::Signature NdkInterfaceWriter::signature(const Method& method) const {
  Signature out{escape(method.name), {}, {}, {}};
  const auto add = [&](std::string type, std::string name) {
    out.parameters.push_back(type + " " + name);
    out.types.push_back(std::move(type));
    out.arguments.push_back(std::move(name));
  };
  for (const Argument& argument : method.arguments) add(names_.argument(argument), ndk_argument_name(argument));
  if (!method.result.is_void()) add(names_.value(method.result) + "*", "_aidl_return");
  return out;
}

void NdkInterfaceWriter::open(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string name = escape(interface.name);
  header.comment(interface.comment);
  header.line("class {}{} : public ::ndk::ICInterface {{", deprecated_attribute(interface.comment), name);
  header.text("public:");
  header.indent();
  header.line("typedef {}Delegator DefaultDelegator;", name);
  header.text("static const char* descriptor;");
  header.line("{}();", name);
  header.line("virtual ~{}();", name);
  header.blank();
}

void NdkInterfaceWriter::declare(const InterfaceDeclaration& interface, Writer& header, bool pure) const {
  const auto declaration = [&](const std::string& method, const std::vector<std::string>& parameters) {
    header.list(fmt::format("{}::ndk::ScopedAStatus {}(", pure ? "virtual " : "", method), parameters,
                pure ? ") = 0;" : ") override;");
  };
  for (const Method& method : interface.methods) {
    const Signature parts = signature(method);
    if (pure) {
      header.comment(method.comment);
      header.list(fmt::format("{}virtual ::ndk::ScopedAStatus {}(", deprecated_attribute(method.comment), parts.name),
                  parts.parameters, ") = 0;");
    } else {
      declaration(parts.name, parts.parameters);
    }
  }
  if (versioned()) declaration(kVersionMethod, {"int32_t* _aidl_return"});
  if (hashed()) declaration(kHashMethod, {"std::string* _aidl_return"});
}

void NdkInterfaceWriter::members(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string name = escape(interface.name);
  if (versioned()) header.line("static inline const int32_t version = {};", *options_.version);
  if (hashed()) header.line("static inline const std::string hash = {};", string_literal(options_.hash));
  for (const Method& method : interface.methods) {
    header.line("static constexpr uint32_t TRANSACTION_{} = FIRST_CALL_TRANSACTION + {};", method.name, method.id);
  }
  header.blank();
  header.line("static std::shared_ptr<{}> fromBinder(const ::ndk::SpAIBinder& binder);", name);
  header.line("static binder_status_t writeToParcel(AParcel* parcel, const std::shared_ptr<{}>& instance);", name);
  header.line("static binder_status_t readFromParcel(const AParcel* parcel, std::shared_ptr<{}>* instance);", name);
  header.line("static bool setDefaultImpl(const std::shared_ptr<{}>& impl);", name);
  header.line("static const std::shared_ptr<{}>& getDefaultImpl();", name);
  declare(interface, header, true);
  header.outdent();
  header.text("private:");
  header.indent();
  header.line("static std::shared_ptr<{}> default_impl;", name);
}

void NdkInterfaceWriter::default_class(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string name = escape(interface.name);
  header.line("class {0}Default : public {0} {{", name);
  header.text("public:");
  header.indent();
  declare(interface, header, false);
  header.text("::ndk::SpAIBinder asBinder() override;\nbool isRemote() override;");
  header.outdent();
  header.text("};");
}

void NdkInterfaceWriter::stub_class(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string stub = "Bn" + base_name(interface.name);
  header.line("class {} : public ::ndk::BnCInterface<{}> {{", stub, escape(interface.name));
  header.text("public:");
  header.indent();
  header.line("{}();", stub);
  header.line("virtual ~{}();", stub);
  if (versioned()) header.line("::ndk::ScopedAStatus {}(int32_t* _aidl_return);", kVersionMethod);
  if (hashed()) header.line("::ndk::ScopedAStatus {}(std::string* _aidl_return);", kHashMethod);
  header.outdent();
  header.text("protected:\n  ::ndk::SpAIBinder createBinder() override;\n};");
}

void NdkInterfaceWriter::delegator_class(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string name = escape(interface.name);
  header.line("class {}Delegator : public Bn{} {{", name, base_name(interface.name));
  header.text("public:");
  header.indent();
  header.line("explicit {0}Delegator(const std::shared_ptr<{0}>& impl) : _impl(impl) {{}}", name);
  for (const Method& method : interface.methods) {
    const Signature parts = signature(method);
    header.list(fmt::format("::ndk::ScopedAStatus {}(", parts.name), parts.parameters, ") override {");
    header.line("  return _impl->{}({});", parts.name, fmt::join(parts.arguments, ", "));
    header.text("}");
  }
  header.outdent();
  header.text("private:");
  header.indent();
  header.line("std::shared_ptr<{}> _impl;", name);
  header.outdent();
  header.text("};");
}

void NdkInterfaceWriter::proxy_class(const InterfaceDeclaration& interface, Writer& header) const {
  const std::string proxy = "Bp" + base_name(interface.name);
  header.line("class {} : public ::ndk::BpCInterface<{}> {{", proxy, escape(interface.name));
  header.text("public:");
  header.indent();
  header.line("explicit {}(const ::ndk::SpAIBinder& binder);", proxy);
  header.line("virtual ~{}();", proxy);
  header.blank();
  declare(interface, header, false);
  if (versioned()) {
    header.blank();
    header.text("std::mutex _aidl_cached_mutex;\nint32_t _aidl_cached_version = -1;");
    if (hashed()) header.text("std::string _aidl_cached_hash = \"-1\";");
  }
  header.outdent();
  header.text("};");
}

void NdkInterfaceWriter::define(const InterfaceDeclaration& interface, Writer& source) const {
  source.line("const char* {}::descriptor = {};", name_in_namespace(interface), string_literal(interface.descriptor()));
  source.blank();
  define_on_transact(interface, source);
  source.line("static AIBinder_Class* {} = ::ndk::ICInterface::defineClass({}::descriptor, _aidl_{}_onTransact);",
              class_variable(interface), name_in_namespace(interface), flat_name(interface));
  source.blank();
  define_proxy(interface, source);
  define_interface(interface, source);
  define_default(interface, source);
}

void NdkInterfaceWriter::define_on_transact(const InterfaceDeclaration& interface, Writer& source) const {
  const std::string stub = ndk_companion(interface, "Bn");
  source.list(fmt::format("static binder_status_t _aidl_{}_onTransact(", flat_name(interface)),
              {"AIBinder* _aidl_binder", "transaction_code_t _aidl_code", "[[maybe_unused]] const AParcel* _aidl_in",
               "[[maybe_unused]] AParcel* _aidl_out"},
              ") {");
  source.indent();
  source.text("[[maybe_unused]] binder_status_t _aidl_ret_status = STATUS_OK;");
  source.line("std::shared_ptr<{0}> _aidl_impl = std::static_pointer_cast<{0}>(::ndk::ICInterface::asInterface(_aidl_binder));",
              stub);
  source.text("switch (_aidl_code) {");
  source.indent();
  for (const Method& method : interface.methods) define_case(method, interface, source);
  const auto fixed = [&](const char* method, uint32_t id, const char* type) {
    source.line("case FIRST_CALL_TRANSACTION + {}: {{  // {}", id, method);
    source.line("  {} _aidl_return{{}};", type);
    source.line("  ::ndk::ScopedAStatus _aidl_status = _aidl_impl->{}(&_aidl_return);", method);
    source.text(
        "  _aidl_ret_status = AParcel_writeStatusHeader(_aidl_out, _aidl_status.get());\n"
        "  if (_aidl_ret_status != STATUS_OK || !AStatus_isOk(_aidl_status.get())) return _aidl_ret_status;\n"
        "  return ::ndk::AParcel_writeData(_aidl_out, _aidl_return);\n}");
  };
  if (versioned()) fixed(kVersionMethod, kGetInterfaceVersionId, "int32_t");
  if (hashed()) fixed(kHashMethod, kGetInterfaceHashId, "std::string");
  source.text("default: return STATUS_UNKNOWN_TRANSACTION;");
  source.outdent();
  source.text("}");
  source.outdent();
  source.text("}");
  source.blank();
}

void NdkInterfaceWriter::define_case(const Method& method, const InterfaceDeclaration& interface, Writer& source) const {
  const std::string name = name_in_namespace(interface);
  const std::string give_up = "if (_aidl_ret_status != STATUS_OK) return _aidl_ret_status;";
  source.line("case {}::TRANSACTION_{}: {{", name, method.name);
  source.indent();
  std::vector<std::string> call;
  for (const Argument& argument : method.arguments) {
    const std::string variable = ndk_argument_name(argument);
    source.text(names_.variable(argument.type, variable, interface));
    if (argument.is_in()) {
      source.line("_aidl_ret_status = {};", ndk_read(argument.type, "_aidl_in", "&" + variable));
      source.text(give_up);
    } else if (is_sized(argument)) {
      source.line("_aidl_ret_status = ::ndk::AParcel_resizeVector(_aidl_in, &{});", variable);
      source.text(give_up);
    }
    call.push_back(argument.is_out() ? "&" + variable : variable);
  }
  if (!method.result.is_void()) {
    source.text(names_.variable(method.result, "_aidl_return", interface));
    call.emplace_back("&_aidl_return");
  }
  if (is_oneway(method, interface)) {
    // Nobody waits to hear how it went.
    source.line("static_cast<void>(_aidl_impl->{}({}));", escape(method.name), fmt::join(call, ", "));
    source.text("return STATUS_OK;");
  } else {
    source.line("::ndk::ScopedAStatus _aidl_status = _aidl_impl->{}({});", escape(method.name), fmt::join(call, ", "));
    source.text(
        "_aidl_ret_status = AParcel_writeStatusHeader(_aidl_out, _aidl_status.get());\n"
        "if (_aidl_ret_status != STATUS_OK || !AStatus_isOk(_aidl_status.get())) return _aidl_ret_status;");
    if (!method.result.is_void()) {
      source.line("_aidl_ret_status = {};", ndk_write(method.result, "_aidl_out", "_aidl_return"));
      source.text(give_up);
    }
    for (const Argument& argument : method.arguments) {
      if (!argument.is_out()) continue;
      source.line("_aidl_ret_status = {};", ndk_write(argument.type, "_aidl_out", ndk_argument_name(argument)));
      source.text(give_up);
    }
    source.text("return STATUS_OK;");
  }
  source.outdent();
  source.text("}");
}

void NdkInterfaceWriter::define_proxy(const InterfaceDeclaration& interface, Writer& source) const {
  const std::string proxy = ndk_companion(interface, "Bp");
  const std::string simple = "Bp" + base_name(interface.name);
  source.line("{0}::{1}(const ::ndk::SpAIBinder& binder) : BpCInterface(binder) {{}}", proxy, simple);
  source.line("{}::~{}() {{}}", proxy, simple);
  for (const Method& method : interface.methods) define_proxy_method(method, interface, source);
  define_remembered(interface, source);
}

void NdkInterfaceWriter::define_proxy_method(const Method& method, const InterfaceDeclaration& interface, Writer& source) const {
  const Signature parts = signature(method);
  const std::string name = name_in_namespace(interface);
  source.blank();
  source.list(fmt::format("::ndk::ScopedAStatus {}::{}(", ndk_companion(interface, "Bp"), parts.name), parts.parameters, ") {");
  source.indent();
  source.text(
      "::ndk::ScopedAParcel _aidl_in;\n::ndk::ScopedAParcel _aidl_out;\n"
      "const ::ndk::SpAIBinder _aidl_binder = asBinder();\n"
      "binder_status_t _aidl_ret_status = AIBinder_prepareTransaction(_aidl_binder.get(), _aidl_in.getR());");
  for (const Argument& argument : method.arguments) {
    const std::string value = (argument.is_out() ? "*" : "") + ndk_argument_name(argument);
    if (argument.is_in()) {
      source.line("if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = {};", ndk_write(argument.type, "_aidl_in.get()", value));
    } else if (is_sized(argument)) {
      source.line("if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = ::ndk::AParcel_writeVectorSize(_aidl_in.get(), {});",
                  value);
    }
  }
  source.text("if (_aidl_ret_status == STATUS_OK) {");
  source.indent();
  source.list("_aidl_ret_status = AIBinder_transact(",
              {"_aidl_binder.get()", "TRANSACTION_" + method.name, "_aidl_in.getR()", "_aidl_out.getR()",
               is_oneway(method, interface) ? "FLAG_ONEWAY" : "0"},
              ");");
  source.outdent();
  source.text("}");
  source.line("if (_aidl_ret_status == STATUS_UNKNOWN_TRANSACTION && {}::getDefaultImpl()) {{", name);
  source.line("  return {}::getDefaultImpl()->{}({});", name, parts.name, fmt::join(parts.arguments, ", "));
  source.text("}\n::ndk::ScopedAStatus _aidl_status;");
  if (!is_oneway(method, interface)) {
    source.text(
        "if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = AParcel_readStatusHeader(_aidl_out.get(), _aidl_status.getR());\n"
        "if (_aidl_ret_status == STATUS_OK && !AStatus_isOk(_aidl_status.get())) return _aidl_status;");
    if (!method.result.is_void()) {
      source.line("if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = {};",
                  ndk_read(method.result, "_aidl_out.get()", "_aidl_return"));
    }
    for (const Argument& argument : method.arguments) {
      if (!argument.is_out()) continue;
      source.line("if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = {};",
                  ndk_read(argument.type, "_aidl_out.get()", ndk_argument_name(argument)));
    }
  }
  source.text("_aidl_status.set(AStatus_fromStatus(_aidl_ret_status));\nreturn _aidl_status;");
  source.outdent();
  source.text("}");
}

// What a remote object was generated from does not change: it is asked once.
void NdkInterfaceWriter::define_remembered(const InterfaceDeclaration& interface, Writer& source) const {
  const std::string proxy = ndk_companion(interface, "Bp");
  const auto define = [&](const char* method, uint32_t id, const char* type, const std::string& cached, const char* unknown) {
    source.blank();
    source.line("::ndk::ScopedAStatus {}::{}({}* _aidl_return) {{", proxy, method, type);
    source.indent();
    source.text("{\n  const std::lock_guard<std::mutex> _aidl_lock(_aidl_cached_mutex);");
    source.line("  if ({} != {}) {{", cached, unknown);
    source.line("    *_aidl_return = {};", cached);
    source.text(
        "    return ::ndk::ScopedAStatus::ok();\n  }\n}\n"
        "::ndk::ScopedAParcel _aidl_in;\n::ndk::ScopedAParcel _aidl_out;\n"
        "const ::ndk::SpAIBinder _aidl_binder = asBinder();\n"
        "binder_status_t _aidl_ret_status = AIBinder_prepareTransaction(_aidl_binder.get(), _aidl_in.getR());\n"
        "if (_aidl_ret_status == STATUS_OK) {");
    source.line(
        "  _aidl_ret_status = AIBinder_transact(_aidl_binder.get(), FIRST_CALL_TRANSACTION + {}, _aidl_in.getR(), "
        "_aidl_out.getR(), 0);",
        id);
    source.line("}}\nif (_aidl_ret_status == STATUS_UNKNOWN_TRANSACTION && {}::getDefaultImpl()) {{",
                name_in_namespace(interface));
    source.line("  return {}::getDefaultImpl()->{}(_aidl_return);", name_in_namespace(interface), method);
    source.text(
        "}\n::ndk::ScopedAStatus _aidl_status;\n"
        "if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = AParcel_readStatusHeader(_aidl_out.get(), _aidl_status.getR());\n"
        "if (_aidl_ret_status == STATUS_OK && !AStatus_isOk(_aidl_status.get())) return _aidl_status;\n"
        "if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = ::ndk::AParcel_readData(_aidl_out.get(), _aidl_return);\n"
        "if (_aidl_ret_status == STATUS_OK) {\n  const std::lock_guard<std::mutex> _aidl_lock(_aidl_cached_mutex);");
    source.line("  {} = *_aidl_return;", cached);
    source.text("}\n_aidl_status.set(AStatus_fromStatus(_aidl_ret_status));\nreturn _aidl_status;");
    source.outdent();
    source.text("}");
  };
  if (versioned()) define(kVersionMethod, kGetInterfaceVersionId, "int32_t", "_aidl_cached_version", "-1");
  if (hashed()) define(kHashMethod, kGetInterfaceHashId, "std::string", "_aidl_cached_hash", "\"-1\"");
}

void NdkInterfaceWriter::define_interface(const InterfaceDeclaration& interface, Writer& source) const {
  const std::string name = name_in_namespace(interface);
  const std::string simple = escape(interface.name);
  const std::string stub = ndk_companion(interface, "Bn");
  const std::string simple_stub = "Bn" + base_name(interface.name);
  source.blank();
  source.line("{0}::{1}() {{}}\n{0}::~{1}() {{}}", stub, simple_stub);
  source.line("::ndk::SpAIBinder {}::createBinder() {{", stub);
  source.line("  return ::ndk::SpAIBinder(AIBinder_new({}, static_cast<::ndk::ICInterface*>(this)));", class_variable(interface));
  source.text("}");
  const auto answer = [&](const char* method, const char* type, const char* value) {
    source.line("::ndk::ScopedAStatus {}::{}({}* _aidl_return) {{", stub, method, type);
    source.line("  *_aidl_return = {}::{};", name, value);
    source.text("  return ::ndk::ScopedAStatus::ok();\n}");
  };
  if (versioned()) answer(kVersionMethod, "int32_t", "version");
  if (hashed()) answer(kHashMethod, "std::string", "hash");

  source.blank();
  source.line("std::shared_ptr<{0}> {0}::default_impl = nullptr;", name);
  source.line("{0}::{1}() {{}}\n{0}::~{1}() {{}}", name, simple);
  source.line("std::shared_ptr<{0}> {0}::fromBinder(const ::ndk::SpAIBinder& binder) {{", name);
  source.line("  if (!AIBinder_associateClass(binder.get(), {})) return nullptr;", class_variable(interface));
  source.text("  std::shared_ptr<::ndk::ICInterface> interface = ::ndk::ICInterface::asInterface(binder.get());");
  source.line("  if (interface) return std::static_pointer_cast<{}>(interface);", name);
  source.line("  return ::ndk::SharedRefBase::make<{}>(binder);\n}}", ndk_companion(interface, "Bp"));
  source.line("binder_status_t {0}::writeToParcel(AParcel* parcel, const std::shared_ptr<{0}>& instance) {{", name);
  source.text("  return AParcel_writeStrongBinder(parcel, instance ? instance->asBinder().get() : nullptr);\n}");
  source.line("binder_status_t {0}::readFromParcel(const AParcel* parcel, std::shared_ptr<{0}>* instance) {{", name);
  source.text(
      "  ::ndk::SpAIBinder binder;\n"
      "  const binder_status_t status = AParcel_readStrongBinder(parcel, binder.getR());\n"
      "  if (status != STATUS_OK) return status;");
  source.line("  *instance = {}::fromBinder(binder);\n  return STATUS_OK;\n}}", name);
  source.line("bool {0}::setDefaultImpl(const std::shared_ptr<{0}>& impl) {{", name);
  source.line(
      "  // Only one, and only once.\n  if ({0}::default_impl || !impl) return false;\n  {0}::default_impl = impl;\n  return "
      "true;\n}}",
      name);
  source.line("const std::shared_ptr<{0}>& {0}::getDefaultImpl() {{ return {0}::default_impl; }}", name);
}

void NdkInterfaceWriter::define_default(const InterfaceDeclaration& interface, Writer& source) const {
  const std::string name = name_in_namespace(interface);
  source.blank();
  for (const Method& method : interface.methods) {
    const Signature parts = signature(method);
    source.list(fmt::format("::ndk::ScopedAStatus {}Default::{}(", name, parts.name), parts.types, ") {");
    source.text("  return ::ndk::ScopedAStatus::fromStatus(STATUS_UNKNOWN_TRANSACTION);\n}");
  }
  const auto nothing = [&](const char* method, const char* type, const char* value) {
    source.line("::ndk::ScopedAStatus {}Default::{}({}* _aidl_return) {{", name, method, type);
    source.line("  *_aidl_return = {};\n  return ::ndk::ScopedAStatus::ok();\n}}", value);
  };
  if (versioned()) nothing(kVersionMethod, "int32_t", "0");
  if (hashed()) nothing(kHashMethod, "std::string", "\"\"");
  source.line(
      "::ndk::SpAIBinder {0}Default::asBinder() {{ return ::ndk::SpAIBinder(); }}\nbool {0}Default::isRemote() {{ return false; "
      "}}",
      name);
}

}  // namespace adyton::aidl
