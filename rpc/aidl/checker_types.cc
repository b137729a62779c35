#include <fmt/format.h>

#include <algorithm>

#include "rpc/aidl/checker.h"
#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

bool is_declared_as_enum(const Type& type) { return type.kind == TypeKind::kDeclared && type.declaration->as_enum() != nullptr; }

const std::vector<Field>* fields_of(const Declaration& declaration) {
  if (const auto* parcelable = declaration.as_parcelable()) return &parcelable->fields;
  if (const auto* owner = declaration.as_union()) return &owner->fields;
  return nullptr;
}

// The parcelable or union that is part of what has a field of `type`; null when there is a pointer or a vector between.
const Declaration* by_value(const Type& type) {
  if (type.kind != TypeKind::kDeclared || type.nullable_heap || type.is_dynamic_array()) return nullptr;
  return fields_of(*type.declaration) != nullptr ? type.declaration : nullptr;
}

}  // namespace

void Checker::check(const Type& type, Use use, const Declaration& user) {
  if (type.kind == TypeKind::kUnresolved) return;
  const auto error = [&](std::string message) { diagnostics_.error(type.location, std::move(message)); };
  if (type.kind == TypeKind::kVoid) {
    if (use != Use::kResult || type.is_array()) error("'void' is only the result of a method");
    if (!type.annotations.list.empty() && (type.nullable || type.utf8_in_cpp)) error("'void' is neither nullable nor a string");
    return;
  }
  if (type.kind == TypeKind::kTypeParameter) {
    error(fmt::format("{} is a type parameter: it tells types apart, but nothing can be of that type", quote(type.name)));
    return;
  }
  if (type.kind == TypeKind::kParcelableHolder && use != Use::kField) {
    error("'ParcelableHolder' is only the type of a parcelable's field");
  }
  if (use == Use::kConstant) {
    const bool allowed = (type.kind >= TypeKind::kBoolean && type.kind <= TypeKind::kString) || is_declared_as_enum(type);
    if (!allowed) error(fmt::format("a constant cannot be of type {}", quote(type.to_string(false))));
  }
  if (type.kind == TypeKind::kFileDescriptor) {
    warn(Warning::kFileDescriptor, type.location, {&type.annotations}, user, "'FileDescriptor' is only for older interfaces: use ParcelFileDescriptor");
  }
  check_array(type);
  check_generic(type, user);
  check_annotated(type);
  if (type.kind == TypeKind::kDeclared) check_declared(type, use, user);
  if (options_.structured && is_input_) {
    if (type.kind == TypeKind::kFileDescriptor) error("'FileDescriptor' is not for --structured interfaces: use ParcelFileDescriptor");
    if (type.kind == TypeKind::kMap) error("'Map' is not for --structured interfaces");
    if (type.kind == TypeKind::kList && type.arguments.empty()) error("'List' without an argument is not for --structured interfaces");
  }
}

void Checker::check_array(const Type& type) {
  if (!type.is_array()) return;
  const auto is_dynamic = [](const Type::Dimension& dimension) { return dimension.size_expression.empty(); };
  const auto dynamic = std::find_if(type.dimensions.begin(), type.dimensions.end(), is_dynamic);
  if (dynamic != type.dimensions.end() && type.dimensions.size() > 1) {
    diagnostics_.error(dynamic->location, "only arrays of fixed size have more than one dimension");
  }
  if (type.kind == TypeKind::kList || type.kind == TypeKind::kMap || type.kind == TypeKind::kParcelableHolder) {
    diagnostics_.error(type.location, fmt::format("there are no arrays of {}", quote(type.name)));
  }
}

void Checker::check_generic(const Type& type, const Declaration& user) {
  for (const Type& argument : type.arguments) check(argument, Use::kTypeArgument, user);
  const size_t count = type.arguments.size();
  if (type.kind == TypeKind::kList || type.kind == TypeKind::kMap) {
    const size_t needed = type.kind == TypeKind::kList ? 1 : 2;
    if (count == 0) {
      warn(Warning::kUntypedCollection, type.location, {&type.annotations}, user, fmt::format("{} does not say what it holds", quote(type.name)));
    } else if (count != needed) {
      diagnostics_.error(type.location, fmt::format("{} takes {} type argument{}, not {}", quote(type.name), needed, needed == 1 ? "" : "s", count));
    }
    for (const Type& argument : type.arguments) {
      if (argument.kind >= TypeKind::kBoolean && argument.kind <= TypeKind::kDouble) {
        diagnostics_.error(argument.location, fmt::format("{} cannot hold {}: use an array", quote(type.name), quote(argument.to_string(false))));
      }
    }
    if (type.kind == TypeKind::kMap && count == 2 && (type.arguments[0].kind != TypeKind::kString || type.arguments[0].is_array())) {
      diagnostics_.error(type.arguments[0].location, "the keys of a Map are of type 'String'");
    }
    return;
  }
  const size_t parameters = type.kind == TypeKind::kDeclared ? type.declaration->type_parameters.size() : 0;
  if (count == parameters) return;
  diagnostics_.error(type.location, parameters == 0 ? fmt::format("{} takes no type arguments", quote(type.name))
                                                    : fmt::format("{} takes {} type argument{}, not {}", quote(type.name), parameters,
                                                                  parameters == 1 ? "" : "s", count));
}

void Checker::check_annotated(const Type& type) {
  if (const Annotation* utf8 = type.annotations.find("utf8InCpp")) {
    const bool of_strings = type.kind == TypeKind::kString ||
                            (type.kind == TypeKind::kList && type.arguments.size() == 1 && type.arguments[0].kind == TypeKind::kString);
    if (!of_strings) diagnostics_.error(utf8->location, "@utf8InCpp is for String, arrays of String and List<String>");
  }
  const Annotation* nullable = type.annotations.find("nullable");
  if (nullable == nullptr) return;
  if (type.is_primitive()) diagnostics_.error(nullable->location, fmt::format("a value of type {} cannot be null", quote(type.name)));
  if (is_declared_as_enum(type) && !type.is_array()) diagnostics_.error(nullable->location, "an enum cannot be null");
  if (type.kind == TypeKind::kParcelableHolder) diagnostics_.error(nullable->location, "a ParcelableHolder cannot be null");
  if (type.nullable_heap && (type.kind != TypeKind::kDeclared || type.is_array() || type.declaration->as_interface() != nullptr)) {
    diagnostics_.error(nullable->location, "@nullable(heap=true) is for parcelables and unions");
  }
}

void Checker::check_declared(const Type& type, Use use, const Declaration& user) {
  const Declaration& used = *type.declaration;
  if (is_input_ && user.vintf_stability() && !used.vintf_stability() && !(used.parent != nullptr && used.name == "Tag" && used.parent->vintf_stability())) {
    diagnostics_.error(type.location, fmt::format("{} is @VintfStability, but uses {}, which is not", quote(user.name), quote(used.qualified_name())));
  }
  if (options_.structured && is_input_ && used.as_unstructured() != nullptr) {
    const Annotations& given = used.annotations;
    if (!given.has("JavaOnlyStableParcelable") && !given.has("NdkOnlyStableParcelable") && !given.has("RustOnlyStableParcelable")) {
      diagnostics_.error(type.location, fmt::format("{} has no body in AIDL, which --structured asks for", quote(used.qualified_name())));
    }
  }
  if (use == Use::kConstant && used.as_enum() == nullptr) return;  // said already
}

void Checker::check_recursion(const Declaration& declaration) {
  // Depth first with a stack of our own: chains are as long as the file has types.
  struct Frame {
    const Declaration* at;
    size_t field = 0;
  };
  if (without_recursion_.contains(&declaration)) return;
  std::vector<Frame> stack{{&declaration}};
  std::unordered_set<const Declaration*> on_stack{&declaration};
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const auto& fields = *fields_of(*frame.at);
    if (frame.field == fields.size()) {
      on_stack.erase(frame.at);
      without_recursion_.insert(frame.at);
      stack.pop_back();
      continue;
    }
    const Field& field = fields[frame.field++];
    const Declaration* next = by_value(field.type);
    if (next == nullptr || without_recursion_.contains(next)) continue;
    if (on_stack.insert(next).second) {
      stack.push_back({next});
      continue;
    }
    std::string chain = next->name;
    size_t begin = stack.size();
    while (begin > 0 && stack[begin - 1].at != next) --begin;
    constexpr size_t kShown = 8;
    for (size_t i = begin; i < stack.size() && i < begin + kShown; ++i) chain += " -> " + stack[i].at->name;
    if (stack.size() > begin + kShown) chain += " -> ...";
    diagnostics_.error(field.location, stack.size() == begin ? fmt::format("field {} makes {} part of itself: annotate it @nullable(heap=true)",
                                                                           quote(field.name), quote(next->qualified_name()))
                                                             : fmt::format("field {} makes {} part of itself ({} -> {}): annotate one on the way @nullable(heap=true)",
                                                                           quote(field.name), quote(next->qualified_name()), chain, next->name));
  }
}

void Checker::check_fixed_size(const Declaration& declaration, const std::vector<Field>& fields) {
  for (const Field& field : fields) {
    const Type& type = field.type;
    if (type.kind == TypeKind::kUnresolved) continue;
    const bool fixed_kind = (type.kind >= TypeKind::kBoolean && type.kind <= TypeKind::kDouble) || is_declared_as_enum(type) ||
                            (type.kind == TypeKind::kDeclared && type.declaration->annotations.has("FixedSize"));
    if (fixed_kind && !type.nullable && !type.is_dynamic_array()) continue;
    diagnostics_.error(field.location, fmt::format("{} {} is @FixedSize, but its field {} of type {} is not", declaration.kind_name(),
                                                   quote(declaration.name), quote(field.name), quote(type.to_string(false))));
  }
}

}  // namespace adyton::aidl
