// What an object promises about its interface over time. Between our processes every object is as stable as the build that both
// are from, and nothing else is asked for; the functions are here for programs that call them.
#pragma once
#include <android/binder_ibinder.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline void AIBinder_markCompilationUnitStability(AIBinder* binder) { (void)binder; }
static inline void AIBinder_markSystemStability(AIBinder* binder) { (void)binder; }
static inline void AIBinder_markVendorStability(AIBinder* binder) { (void)binder; }
static inline void AIBinder_markVintfStability(AIBinder* binder) { (void)binder; }
static inline void AIBinder_forceDowngradeToLocalStability(AIBinder* binder) { (void)binder; }

#ifdef __cplusplus
}
#endif
