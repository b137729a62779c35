// The annotations of the language: where each may stand, what parameters it takes. Those that only speak to the Java and Rust back ends of
// AOSP's compiler are checked the same way and have no effect.
#pragma once
#include <cstdint>
#include <string_view>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/evaluator.h"

namespace adyton::aidl {

class AnnotationChecker {
 public:
  AnnotationChecker(Diagnostics& diagnostics, Evaluator& evaluator) : diagnostics_(diagnostics), evaluator_(evaluator) {}
  // Checks every annotation, sets the values of their parameters, and what follows from them alone: the nullable and utf8_in_cpp of types,
  // the backing of enums.
  void check(Document& document);

 private:
  // Bits: an annotation names all the places where it may stand.
  using Place = uint32_t;
  void check(Declaration& declaration);
  void check(Annotations& annotations, Place place);
  void check_parameters(Annotation& annotation, std::string_view parameters);
  void check(Type& type, Place place);
  void check(EnumDeclaration& enumeration);

  Diagnostics& diagnostics_;
  Evaluator& evaluator_;
};

}  // namespace adyton::aidl
