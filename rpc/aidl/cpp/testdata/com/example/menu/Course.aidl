package com.example.menu;

/** When a dish is served. */
@Backing(type="byte")
enum Course {
    STARTER = 1,
    MAIN,
    /** @deprecated nobody has room for it */
    DESSERT = 0x10,
}
