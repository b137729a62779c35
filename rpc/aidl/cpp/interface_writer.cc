#include "rpc/aidl/cpp/interface_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "rpc/aidl/cpp/data_writer.h"
#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {
namespace {

// Arguments keep their names, but for those that the functions around them use.
std::string argument_name(const Argument& argument) {
  static constexpr auto kTaken = std::to_array<std::string_view>({"code", "data", "reply", "self"});
  std::string name = escape(argument.name);
  if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end()) name += '_';
  return name;
}

// In a proxy and in the interface only the members' names are taken.
std::string parameter_name(const Argument& argument, const InterfaceDeclaration& interface) {
  std::string name = escape(argument.name);
  const auto same = [&](const auto& item) { return item.name == name; };
  const bool constant = std::any_of(interface.constants.begin(), interface.constants.end(), same);
  if (constant || name == "binder_" || name == "kDescriptor" || name == "kVersion" || name == "kHash") name += '_';
  return name;
}

bool is_sized(const Argument& argument) {
  return argument.direction == Argument::Direction::kOut && argument.type.is_dynamic_array();
}

std::string transaction_name(const Method& method) { return "TRANSACTION_" + method.name; }

}  // namespace

std::vector<std::string> CppInterfaceWriter::parameters(const Method& method, const InterfaceDeclaration& interface,
                                                        bool named) const {
  std::vector<std::string> out;
  for (const Argument& argument : method.arguments) {
    out.push_back(names_.argument(argument) + (named ? " " + parameter_name(argument, interface) : ""));
  }
  return out;
}

void CppInterfaceWriter::open(const InterfaceDeclaration& interface) {
  header_.comment(interface.comment);
  header_.line("class {}{} : public adyton::rpc::Interface {{", deprecated_attribute(interface.comment), escape(interface.name));
}

void CppInterfaceWriter::members(const InterfaceDeclaration& interface) {
  const std::string name = escape(interface.name);
  header_.line("static constexpr std::string_view kDescriptor = {};", string_literal(interface.descriptor()));
  if (versioned()) header_.line("static constexpr int32_t kVersion = {};", *options_.version);
  if (hashed()) header_.line("static constexpr std::string_view kHash = {};", string_literal(options_.hash));
  for (const Method& method : interface.methods) {
    header_.line("static constexpr uint32_t {} = adyton::rpc::kFirstCall + {};", transaction_name(method), method.id);
  }
  header_.blank();
  header_.text(
      "// A local object itself, else a proxy; null for null and for a local object of another interface (interface_of).");
  header_.line("static std::shared_ptr<{}> from_binder(std::shared_ptr<adyton::rpc::Binder> binder);", name);
  header_.blank();
  declare_methods(interface, true);
}

void CppInterfaceWriter::declare_methods(const InterfaceDeclaration& interface, bool pure) {
  for (const Method& method : interface.methods) {
    if (pure && !method.comment.text.empty()) {
      if (&method != &interface.methods.front()) header_.blank();
      header_.comment(method.comment);
    }
    header_.list(fmt::format("{}{}{} {}(", pure ? deprecated_attribute(method.comment) : "", pure ? "virtual " : "",
                             names_.reply(method.result), member_name(method.name, interface)),
                 parameters(method, interface, true), pure ? ") = 0;" : ") override;");
  }
  if (versioned())
    header_.line("{}adyton::rpc::Reply<int32_t> getInterfaceVersion(){};", pure ? "virtual " : "", pure ? " = 0" : " override");
  if (hashed())
    header_.line("{}adyton::rpc::Reply<std::string> getInterfaceHash(){};", pure ? "virtual " : "", pure ? " = 0" : " override");
}

void CppInterfaceWriter::companions(const InterfaceDeclaration& interface) {
  const std::string name = escape(interface.name);
  const auto open = [&](const std::string& head) {
    header_.blank();
    header_.text(head);
    header_.indent();
    header_.label("public:");
  };
  const auto close = [&] {
    header_.outdent();
    header_.text("};");
  };
  header_.blank();
  header_.line("// Derive your service from it.");
  header_.line("class {0}Stub : public adyton::rpc::Stub<{0}> {{", name);
  if (versioned() || !interface.methods.empty()) {
    header_.indent();
    header_.label("public:");
    if (!interface.methods.empty()) header_.text("[[nodiscard]] std::string_view method_name(uint32_t code) const override;");
    if (versioned()) header_.text("adyton::rpc::Reply<int32_t> getInterfaceVersion() final { return kVersion; }");
    if (hashed()) header_.text("adyton::rpc::Reply<std::string> getInterfaceHash() final { return std::string(kHash); }");
    header_.outdent();
    header_.blank();
  }
  header_.indent();
  header_.label("protected:");
  header_.text(
      "adyton::rpc::Status dispatch(uint32_t code, const adyton::rpc::Parcel& data, adyton::rpc::Parcel* reply) override;");
  close();

  open(fmt::format("class {0}Proxy final : public {0}, private adyton::rpc::Proxy {{", name));
  header_.line("explicit {}Proxy(std::shared_ptr<adyton::rpc::Binder> binder) : Proxy(std::move(binder), kDescriptor) {{}}",
               name);
  header_.text("std::shared_ptr<adyton::rpc::Binder> as_binder() override { return binder_; }");
  declare_methods(interface, false);
  close();

  header_.blank();
  header_.line("// Answers kUnknownTransaction to everything: the base of fakes.");
  header_.line("class {0}Default : public {0} {{", name);
  header_.indent();
  header_.label("public:");
  header_.text("std::shared_ptr<adyton::rpc::Binder> as_binder() override { return nullptr; }");
  declare_methods(interface, false);
  close();
}

void CppInterfaceWriter::define(const InterfaceDeclaration& interface) {
  const std::string name = name_in_namespace(interface);
  source_.blank();
  source_.line("std::shared_ptr<{0}> {0}::from_binder(std::shared_ptr<adyton::rpc::Binder> binder) {{", name);
  source_.line("  return adyton::rpc::interface_of<{0}, {0}Stub, {0}Proxy>(std::move(binder));", name);
  source_.text("}");
  define_method_name(interface);
  define_dispatch(interface);
  define_proxy(interface);
  define_default(interface);
}

void CppInterfaceWriter::define_dispatch(const InterfaceDeclaration& interface) {
  const bool reads = std::any_of(interface.methods.begin(), interface.methods.end(), [](const Method& method) {
    return std::any_of(method.arguments.begin(), method.arguments.end(),
                       [](const Argument& argument) { return argument.is_in() || is_sized(argument); });
  });
  const bool replies = std::any_of(interface.methods.begin(), interface.methods.end(),
                                   [&](const Method& method) { return !is_oneway(method, interface); });
  source_.blank();
  source_.list(fmt::format("adyton::rpc::Status {}Stub::dispatch(", name_in_namespace(interface)),
               {interface.methods.empty() ? "uint32_t" : "uint32_t code",
                reads ? "const adyton::rpc::Parcel& data" : "const adyton::rpc::Parcel&",
                replies ? "adyton::rpc::Parcel* reply" : "adyton::rpc::Parcel*"},
               ") {");
  source_.indent();
  const std::string unknown = "adyton::rpc::Status::from_transport(adyton::rpc::TransportError::kUnknownTransaction);";
  if (interface.methods.empty()) {
    source_.text("return " + unknown);
  } else {
    source_.line("{}& self = *this;", escape(interface.name));
    source_.text("switch (code) {");
    source_.indent();
    for (const Method& method : interface.methods) define_case(method, interface);
    source_.text("default: return " + unknown);
    source_.outdent();
    source_.text("}");
  }
  source_.outdent();
  source_.text("}");
}

void CppInterfaceWriter::define_method_name(const InterfaceDeclaration& interface) {
  if (interface.methods.empty()) return;
  source_.blank();
  source_.line("std::string_view {}Stub::method_name(uint32_t code) const {{", name_in_namespace(interface));
  source_.indent();
  source_.text("switch (code) {");
  source_.indent();
  for (const Method& method : interface.methods)
    source_.line("case {}: return {};", transaction_name(method), string_literal(method.name));
  source_.text("default: return {};");
  source_.outdent();
  source_.text("}");
  source_.outdent();
  source_.text("}");
}

void CppInterfaceWriter::define_case(const Method& method, const InterfaceDeclaration& interface) {
  std::vector<std::string> call;
  std::vector<std::string> targets{"data"};
  std::vector<std::string> answers{"reply"};
  for (const Argument& argument : method.arguments) {
    const std::string name = argument_name(argument);
    call.push_back(argument.is_out() ? "&" + name : name);
    if (argument.is_in()) targets.push_back(formed(argument.type, "&" + name));
    if (is_sized(argument)) targets.push_back(fmt::format("adyton::rpc::array_size(&{})", name));
    if (argument.is_out()) answers.push_back(formed(argument.type, name));
  }
  const std::string invocation = fmt::format("self.{}({})", member_name(method.name, interface), fmt::join(call, ", "));
  const bool local_variables = !method.arguments.empty();
  source_.line("case {}:{}", transaction_name(method), local_variables ? " {" : "");
  source_.indent();
  for (const Argument& argument : method.arguments) {
    const bool initialized = is_scalar(argument.type) || argument.type.is_fixed_array();
    source_.line("{} {}{};", names_.value(argument.type), argument_name(argument), initialized ? "{}" : "");
  }
  if (targets.size() > 1) source_.list("ADYTON_RPC_TRY(adyton::rpc::read_all(", targets, "));");
  if (is_oneway(method, interface)) {
    source_.line("static_cast<void>({});", invocation);
    source_.text("return adyton::rpc::Status::ok();");
  } else {
    const std::string how = method.result.is_void() ? "" : form(method.result);
    answers.insert(answers.begin() + 1, invocation);
    source_.list(fmt::format("return adyton::rpc::write_reply{}(", how.empty() ? "" : "<" + how + ">"), answers, ");");
  }
  source_.outdent();
  if (local_variables) source_.text("}");
}

void CppInterfaceWriter::define_proxy(const InterfaceDeclaration& interface) {
  const std::string name = name_in_namespace(interface);
  const CppNames outside(interface.package());  // a result's type stands in front of the class' name
  for (const Method& method : interface.methods) {
    std::vector<std::string> values;
    std::vector<std::string> targets;
    for (const Argument& argument : method.arguments) {
      const std::string parameter = parameter_name(argument, interface);
      if (argument.is_in()) values.push_back(formed(argument.type, argument.is_out() ? "*" + parameter : parameter));
      if (is_sized(argument)) values.push_back(fmt::format("adyton::rpc::array_size({})", parameter));
      if (argument.is_out()) targets.push_back(formed(argument.type, parameter));
    }
    source_.blank();
    source_.list(fmt::format("{} {}Proxy::{}(", outside.reply(method.result), name, member_name(method.name, interface)),
                 parameters(method, interface, true), ") {");
    source_.indent();
    std::vector<std::string> pieces{transaction_name(method)};
    if (!values.empty() || !targets.empty()) pieces.push_back(fmt::format("in({})", fmt::join(values, ", ")));
    if (!targets.empty()) pieces.push_back(fmt::format("out({})", fmt::join(targets, ", ")));
    std::string head = "return call_oneway(";
    if (!is_oneway(method, interface)) {
      const std::string how = method.result.is_void() ? "" : form(method.result);
      head = fmt::format("return call_method<{}{}>(", names_.value(method.result), how.empty() ? "" : ", " + how);
    }
    source_.list(head, pieces, ");");
    source_.outdent();
    source_.text("}");
  }
  if (versioned()) {
    source_.blank();
    source_.line("adyton::rpc::Reply<int32_t> {}Proxy::getInterfaceVersion() {{ return remote_version(); }}", name);
  }
  if (hashed()) {
    source_.blank();
    source_.line("adyton::rpc::Reply<std::string> {}Proxy::getInterfaceHash() {{ return remote_hash(); }}", name);
  }
}

void CppInterfaceWriter::define_default(const InterfaceDeclaration& interface) {
  const std::string name = name_in_namespace(interface);
  const CppNames outside(interface.package());
  for (const Method& method : interface.methods) {
    source_.blank();
    source_.list(fmt::format("{} {}Default::{}(", outside.reply(method.result), name, member_name(method.name, interface)),
                 parameters(method, interface, false), ") {");
    source_.text("  return adyton::rpc::fail(adyton::rpc::TransportError::kUnknownTransaction);\n}");
  }
  // As AOSP's defaults: no version, no hash.
  if (versioned()) {
    source_.blank();
    source_.line("adyton::rpc::Reply<int32_t> {}Default::getInterfaceVersion() {{ return 0; }}", name);
  }
  if (hashed()) {
    source_.blank();
    source_.line("adyton::rpc::Reply<std::string> {}Default::getInterfaceHash() {{ return std::string(); }}", name);
  }
}

}  // namespace adyton::aidl
