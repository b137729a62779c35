package com.example.menu;

/** What goes into a dish. */
parcelable Ingredient {
    const int GRAMS_PER_KILO = 1000;
    const String UNIT = "g";
    String name;
    int grams = GRAMS_PER_KILO / 2;
}
