#include "rpc/aidl/compatibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "rpc/aidl/dump.h"
#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

// Annotations that change what travels or what a peer may rely on. The others, @nullable too, may come and go: a reader must cope with
// either, and nobody knows which side is newer.
constexpr std::array<std::string_view, 8> kStrict = {"utf8InCpp",  "VintfStability",          "FixedSize",              "Descriptor",
                                                     "Backing",    "JavaOnlyStableParcelable", "NdkOnlyStableParcelable", "RustOnlyStableParcelable"};

std::string strict_annotations(const Annotations& annotations) {
  std::vector<std::string> texts;
  for (const Annotation& annotation : annotations.list) {
    if (std::find(kStrict.begin(), kStrict.end(), annotation.name) == kStrict.end()) continue;
    std::string text = "@" + annotation.name;
    for (const Annotation::Parameter& parameter : annotation.parameters) text += fmt::format("({}={})", parameter.name, value_text(parameter.value));
    texts.push_back(std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, " "));
}

// What a reader of the new version puts in a field that an old writer left out must mean something in every back end.
bool has_useful_default(const Field& field) {
  const Type& type = field.type;
  if (!field.expression.empty() || type.nullable || type.is_array() || type.is_primitive()) return true;
  if (type.kind == TypeKind::kList || type.kind == TypeKind::kMap || type.kind == TypeKind::kParcelableHolder) return true;
  if (type.kind != TypeKind::kDeclared) return false;
  if (const EnumDeclaration* enumeration = type.declaration->as_enum()) {
    return std::any_of(enumeration->enumerators.begin(), enumeration->enumerators.end(), [](const Enumerator& one) { return one.value == 0; });
  }
  return type.declaration->as_parcelable() != nullptr || type.declaration->as_union() != nullptr;
}

std::string_view direction_name(Argument::Direction direction) {
  return direction == Argument::Direction::kIn ? "in" : direction == Argument::Direction::kOut ? "out" : "inout";
}

class Comparison {
 public:
  explicit Comparison(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void compare(const Declaration& older, const Declaration& newer) {
    if (older.kind != newer.kind) {
      error(newer.location, older.location, fmt::format("{} was {} and is now {}", quote(older.qualified_name()), describe(older), describe(newer)));
      return;
    }
    compare_annotations(older.annotations, newer.annotations, older.location, newer.location, quote(older.qualified_name()));
    if (older.type_parameters.size() != newer.type_parameters.size()) {
      error(newer.location, older.location, fmt::format("{} had {} type parameters and now has {}", quote(older.qualified_name()), older.type_parameters.size(),
                                                        newer.type_parameters.size()));
    }
    switch (older.kind) {
      case Declaration::Kind::kInterface:
        compare_interfaces(*older.as_interface(), *newer.as_interface());
        compare_constants(older.as_interface()->constants, newer.as_interface()->constants, newer);
        break;
      case Declaration::Kind::kParcelable:
        compare_fields(older.as_parcelable()->fields, newer.as_parcelable()->fields, older, newer);
        compare_constants(older.as_parcelable()->constants, newer.as_parcelable()->constants, newer);
        break;
      case Declaration::Kind::kUnion:
        compare_fields(older.as_union()->fields, newer.as_union()->fields, older, newer);
        compare_constants(older.as_union()->constants, newer.as_union()->constants, newer);
        break;
      case Declaration::Kind::kEnum: compare_enums(*older.as_enum(), *newer.as_enum()); break;
      case Declaration::Kind::kUnstructured: break;  // AIDL does not know what is in it
    }
  }

  void error(const Location& newer, const Location& older, std::string message) {
    diagnostics_.error(newer, std::move(message));
    if (older.known()) diagnostics_.note(older, "the older version is here");
  }

 private:
  static std::string describe(const Declaration& declaration) {
    switch (declaration.kind) {
      case Declaration::Kind::kInterface: return "an interface";
      case Declaration::Kind::kParcelable: return "a parcelable with fields";
      case Declaration::Kind::kUnstructured: return "a parcelable without fields";
      case Declaration::Kind::kUnion: return "a union";
      case Declaration::Kind::kEnum: return "an enum";
    }
    return {};
  }

  void compare_annotations(const Annotations& older, const Annotations& newer, const Location& older_location, const Location& newer_location,
                           std::string_view what) {
    const std::string before = strict_annotations(older);
    const std::string after = strict_annotations(newer);
    if (before != after) error(newer_location, older_location, fmt::format("the annotations of {} changed from {} to {}", what, before, after));
  }

  void compare_types(const Type& older, const Type& newer, std::string_view what) {
    const std::string before = older.to_string(false);
    const std::string after = newer.to_string(false);
    if (before != after) {
      error(newer.location, older.location, fmt::format("the type of {} changed from {} to {}", what, quote(before), quote(after)));
      return;
    }
    // Sizes may be written differently and be the same, or the other way round.
    for (size_t i = 0; i < older.dimensions.size() && i < newer.dimensions.size(); ++i) {
      if (older.dimensions[i].size == newer.dimensions[i].size) continue;
      error(newer.location, older.location, fmt::format("the size of {} changed", what));
    }
    compare_annotations(older.annotations, newer.annotations, older.location, newer.location, what);
  }

  void compare_interfaces(const InterfaceDeclaration& older, const InterfaceDeclaration& newer) {
    std::unordered_map<std::string_view, const Method*> methods;
    for (const Method& method : newer.methods) methods.emplace(method.name, &method);
    for (const Method& before : older.methods) {
      const auto found = methods.find(before.name);
      if (found == methods.end()) {
        error(newer.location, before.location, fmt::format("method {} was removed from {}", quote(before.name), quote(older.qualified_name())));
        continue;
      }
      const Method& after = *found->second;
      const std::string name = quote(before.name);
      const bool was_oneway = before.oneway || older.oneway;
      if (was_oneway != (after.oneway || newer.oneway)) {
        error(after.location, before.location, fmt::format("method {} was {}oneway and is now {}oneway", name, was_oneway ? "" : "not ", was_oneway ? "not " : ""));
      }
      if (before.id != after.id) {
        error(after.location, before.location, fmt::format("the id of method {} changed from {} to {}", name, before.id, after.id));
      }
      compare_types(before.result, after.result, fmt::format("the result of {}", name));
      if (before.arguments.size() != after.arguments.size()) {
        error(after.location, before.location, fmt::format("method {} had {} arguments and now has {}", name, before.arguments.size(), after.arguments.size()));
        continue;
      }
      for (size_t i = 0; i < before.arguments.size(); ++i) {
        const Argument& was = before.arguments[i];
        const Argument& is = after.arguments[i];
        compare_types(was.type, is.type, fmt::format("argument {} of {}", quote(is.name), name));
        if (was.direction == is.direction) continue;
        error(is.location, was.location, fmt::format("argument {} of {} was {} and is now {}", quote(is.name), name, direction_name(was.direction),
                                                     direction_name(is.direction)));
      }
    }
  }

  void compare_constants(const std::vector<Constant>& older, const std::vector<Constant>& newer, const Declaration& owner) {
    std::unordered_map<std::string_view, const Constant*> constants;
    for (const Constant& constant : newer) constants.emplace(constant.name, &constant);
    for (const Constant& before : older) {
      const auto found = constants.find(before.name);
      if (found == constants.end()) {
        error(owner.location, before.location, fmt::format("constant {} was removed from {}", quote(before.name), quote(owner.qualified_name())));
        continue;
      }
      const Constant& after = *found->second;
      compare_types(before.type, after.type, fmt::format("constant {}", quote(before.name)));
      const std::string was = value_text(before.value);
      const std::string is = value_text(after.value);
      if (was != is) error(after.location, before.location, fmt::format("the value of constant {} changed from {} to {}", quote(before.name), was, is));
    }
  }

  // Fields are known by their place: they may change their names.
  void compare_fields(const std::vector<Field>& older, const std::vector<Field>& newer, const Declaration& old_owner, const Declaration& new_owner) {
    if (older.size() > newer.size()) {
      error(new_owner.location, old_owner.location, fmt::format("{} {} had {} fields and now has {}", new_owner.kind_name(), quote(new_owner.qualified_name()),
                                                                older.size(), newer.size()));
      return;
    }
    std::unordered_map<std::string_view, size_t> places;
    for (size_t i = 0; i < older.size(); ++i) {
      places.emplace(older[i].name, i);
      compare_types(older[i].type, newer[i].type, fmt::format("field {}", quote(newer[i].name)));
      const std::string was = older[i].expression.empty() ? "none" : value_text(older[i].default_value);
      const std::string is = newer[i].expression.empty() ? "none" : value_text(newer[i].default_value);
      // None and zero are the same default where the type has one.
      if (was != is && (!is_plain_default(older[i]) || !is_plain_default(newer[i]))) {
        error(newer[i].location, older[i].location, fmt::format("the default of field {} changed from {} to {}", quote(newer[i].name), was, is));
      }
    }
    for (size_t i = 0; i < newer.size(); ++i) {
      const auto found = places.find(newer[i].name);
      if (found == places.end() || found->second == i) continue;
      error(newer[i].location, older[found->second].location, fmt::format("field {} moved from place {} to {}", quote(newer[i].name), found->second, i));
    }
    if (older.size() < newer.size() && new_owner.annotations.has("FixedSize")) {
      error(newer[older.size()].location, old_owner.location, fmt::format("{} is @FixedSize: it cannot have further fields", quote(new_owner.qualified_name())));
      return;
    }
    if (new_owner.as_union() != nullptr) return;
    for (size_t i = older.size(); i < newer.size(); ++i) {
      if (has_useful_default(newer[i])) continue;
      error(newer[i].location, {}, fmt::format("new field {} of type {} has no useful default for when an old peer leaves it out: give it one, or make it "
                                               "@nullable", quote(newer[i].name), quote(newer[i].type.to_string(false))));
    }
  }

  static bool is_plain_default(const Field& field) {
    if (field.expression.empty()) return field.type.is_primitive();
    const auto& data = field.default_value.data;
    if (const float* number = std::get_if<float>(&data)) return *number == 0;
    if (const double* number = std::get_if<double>(&data)) return *number == 0;
    return field.type.is_primitive() && !std::holds_alternative<std::monostate>(data) && field.default_value.as_integer() == 0;
  }

  void compare_enums(const EnumDeclaration& older, const EnumDeclaration& newer) {
    if (older.backing != newer.backing) error(newer.location, older.location, fmt::format("the backing type of enum {} changed", quote(older.qualified_name())));
    std::unordered_map<std::string_view, const Enumerator*> enumerators;
    for (const Enumerator& enumerator : newer.enumerators) enumerators.emplace(enumerator.name, &enumerator);
    for (const Enumerator& before : older.enumerators) {
      const auto found = enumerators.find(before.name);
      if (found == enumerators.end()) {
        error(newer.location, before.location, fmt::format("enumerator {} was removed from {}", quote(before.name), quote(older.qualified_name())));
      } else if (found->second->value != before.value) {
        error(found->second->location, before.location, fmt::format("the value of enumerator {} changed from {} to {}", quote(before.name), before.value,
                                                                    found->second->value));
      }
    }
  }

  Diagnostics& diagnostics_;
};

void collect(const Declaration& declaration, std::vector<const Declaration*>& out) {
  out.push_back(&declaration);
  for (const auto& nested : declaration.nested) collect(*nested, out);
}

std::vector<const Declaration*> inputs_of(const Program& program, bool nested) {
  std::vector<const Declaration*> out;
  for (const auto& document : program.documents()) {
    if (!document->is_input) continue;
    for (const auto& declaration : document->declarations) {
      if (nested) {
        collect(*declaration, out);
      } else {
        out.push_back(declaration.get());
      }
    }
  }
  return out;
}

std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

void compare_dumps(const Declaration& older, const Declaration& newer, Comparison& comparison) {
  const std::string before = dump_declaration(older);
  const std::string after = dump_declaration(newer);
  std::string_view left_before = before;
  std::string_view left_after = after;
  while (!left_before.empty() || !left_after.empty()) {
    const std::string_view was = take_line(left_before);
    const std::string_view is = take_line(left_after);
    if (was == is) continue;
    const auto trimmed = [](std::string_view line) { return line.substr(std::min(line.find_first_not_of(' '), line.size())); };
    comparison.error(newer.location, older.location,
                     fmt::format("{} is not equal: it had {} where it now has {}", quote(newer.qualified_name()), quote(trimmed(was)), quote(trimmed(is))));
    return;
  }
}

}  // namespace

bool check_compatible(const Program& older, const Program& newer, CompatibilityLevel level, Diagnostics& diagnostics) {
  const size_t errors_before = diagnostics.errors();
  Comparison comparison(diagnostics);
  const bool equal = level == CompatibilityLevel::kEqual;
  for (const Declaration* before : inputs_of(older, !equal)) {
    const Declaration* after = newer.find(before->qualified_name());
    if (after == nullptr) {
      diagnostics.error(before->location, fmt::format("{} {} was removed", before->kind_name(), quote(before->qualified_name())));
    } else if (equal) {
      compare_dumps(*before, *after, comparison);
    } else {
      comparison.compare(*before, *after);
    }
  }
  if (!equal) return diagnostics.errors() == errors_before;
  for (const Declaration* after : inputs_of(newer, false)) {
    if (older.find(after->qualified_name()) == nullptr) {
      diagnostics.error(after->location, fmt::format("{} {} was added", after->kind_name(), quote(after->qualified_name())));
    }
  }
  return diagnostics.errors() == errors_before;
}

}  // namespace adyton::aidl
