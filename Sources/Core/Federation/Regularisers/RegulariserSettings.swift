import Engine

/// The settings of a regulariser in plans: a section of `method`, without which the loss does not have the term.
package protocol RegulariserSettings: Sendable, Hashable, Codable {
  /// The name of the section.
  static var name: String { get }
  /// The fields of the section.
  static var fields: [PlanField] { get }

  /// Creates the default settings.
  init()
  /// Returns the regulariser for the training of a stage, which starts at 1.
  func regulariser(_ plan: Plan, stage: Int) -> Regulariser
}

/// The regularisers that a plan names, in addition to alignment and FedProx's term.
package struct RegulariserSections: Sendable {
  /// The regularisers of plans; a new regulariser is added here.
  package static let all: [any RegulariserSettings.Type] = [KineticSettings.self, BottleneckSettings.self]

  private var sections: [String: any RegulariserSettings] = [:]

  package init() {}

  /// The settings of a regulariser; nil without its section.
  package subscript<Settings: RegulariserSettings>(settings: Settings.Type) -> Settings? {
    get { sections[settings.name] as? Settings }
    set { sections[settings.name] = newValue }
  }

  /// The number of sections.
  package var count: Int { sections.count }

  /// Returns whether there is a section of this name.
  func has(_ name: String) -> Bool { sections[name] != nil }

  /// Returns the regularisers of a stage, in the order of their names.
  func regularisers(_ plan: Plan, stage: Int) -> [Regulariser] {
    sections.sorted { $0.key < $1.key }.map { $0.value.regulariser(plan, stage: stage) }
  }
}

extension RegulariserSections: Hashable {
  private var values: [String: AnyHashable] { sections.mapValues { AnyHashable($0) } }
  package static func == (a: Self, b: Self) -> Bool { a.values == b.values }
  package func hash(into hasher: inout Hasher) { hasher.combine(values) }
}

/// An object with the settings by name.
extension RegulariserSections: Codable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Throws for a regulariser that this version does not know, because a training without it would be another.
  package init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    for key in values.allKeys {
      guard let type = Self.all.first(where: { $0.name == key.stringValue }) else {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: values, debugDescription: "this version has no such regulariser")
      }
      sections[key.stringValue] = try values.decode(type, forKey: key)
    }
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    for (name, settings) in sections { try values.encode(settings, forKey: Key(stringValue: name)) }
  }
}

extension PlanField {
  /// Creates a field of a regulariser's section.
  package init<Settings: RegulariserSettings, Value>(
    _ key: String, _ place: WritableKeyPath<Settings, Value> & Sendable, _ value: PlanValue<Value>,
    unit: String = "", or fallback: Default = .standard, _ meaning: String
  ) {
    self.init(
      "method.\(Settings.name).\(key)", value, unit: unit, or: fallback, meaning,
      in: OptionalSection(
        isPresent: { $0.method.regularisers.has(Settings.name) },
        create: { $0.method.regularisers[Settings.self] = Settings() }),
      get: { ($0.method.regularisers[Settings.self] ?? Settings())[keyPath: place] },
      set: { plan, value in
        var settings = plan.method.regularisers[Settings.self] ?? Settings()
        settings[keyPath: place] = value
        plan.method.regularisers[Settings.self] = settings
      })
  }
}
