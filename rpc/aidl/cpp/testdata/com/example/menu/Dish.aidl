package com.example.menu;

import com.example.kitchen.ICook;
import com.example.menu.Amount;
import com.example.menu.Box;
import com.example.menu.Course;
import com.example.menu.Heat;
import com.example.menu.Ingredient;
import com.example.menu.Order;
import com.example.menu.Weight;

/**
 * Every type that a field can have.
 *
 * Defaults included.
 */
parcelable Dish {
    /** Whether a dish can be eaten. */
    @Backing(type="int")
    enum State {
        RAW,
        COOKED,
    }

    /** On the side. */
    parcelable Side {
        String name = "salad";
        State state = State.COOKED;
    }

    const int SEATS = 4;
    const long LOWEST = 1L << 63;
    const float PI = 3.14f;
    const double E = 2.718281828459045;
    const char STAR = '*';
    const byte SMALL = -128;
    const boolean YES = true;
    const int[] SIZES = {1, 2, 3};
    const String[] NAMES = {"a", "b"};

    boolean hot = true;
    byte small = SMALL;
    char letter = 'x';
    int count = 3;
    long id = 1234567890123L;
    float factor = 1.5f;
    double ratio = 0.1;
    String name = "soup?";
    @nullable String nickname;
    @utf8InCpp String plain;
    Course course = Course.MAIN;
    Heat heat = Heat.HOT;
    Order order = Order.FIRST;
    State state = State.RAW;

    boolean[] flags = {true, false};
    byte[] bytes = {1, 2, 3};
    char[] letters;
    int[] numbers = SIZES;
    long[] longs;
    float[] floats;
    double[] doubles;
    String[] words = {"one", "two"};
    Course[] courses = {Course.STARTER, Course.MAIN};
    Heat[] heats;
    Ingredient[] ingredients;
    List<String> tags;
    List<Ingredient> extras;
    @nullable int[] maybeNumbers;
    @nullable byte[] maybeBytes;
    @nullable String[] maybeWords;
    @nullable Ingredient[] maybeIngredients;
    @nullable List<String> maybeTags;

    int[SEATS] perSeat = {1, 2, 3, 4};
    byte[2][3] grid;
    String[2] pair;
    Ingredient[2] two;
    @nullable String[2] maybePair;

    Ingredient main;
    @nullable Ingredient maybe;
    @nullable(heap=true) Ingredient heap;
    Side side;
    Amount amount;
    @nullable Amount maybeAmount;
    Box<Ingredient> box;
    Weight weight;
    @nullable Weight maybeWeight;

    @nullable IBinder token;
    @nullable ICook cook;
    @nullable ICook[] cooks;
    @nullable ParcelFileDescriptor photo;
    ParcelFileDescriptor[] photos;
    @nullable ParcelFileDescriptor[] maybePhotos;
    ParcelableHolder extension;
}
